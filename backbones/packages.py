"""Packages that bring weights and pictures: what to do where one of them is not whole."""


def install_again(project: str) -> str:
    """How to bring back what a package should have brought, as the end of an error's sentence.

    Without what it requires: that is there, in the versions that fit together.
    """
    return (
        "install the course again (in its folder delete .venv, then `python3 course.py lab`), or this package "
        f"alone: `pip install --force-reinstall --no-deps {project}`"
    )
