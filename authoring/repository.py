"""Where the course is published: the setting in pyproject.toml, and every place that repeats it.

    python -m authoring.repository                    says where the course is, and mends places that differ
    python -m authoring.repository you/backbones      moves it: changes the setting, then all places

The setting is `repository` in the table [tool.backbones]: account and name on GitHub, as in "you/backbones".
The site's links and buttons are made from it (site/conf.py). Files that people read as they are, such as the
README with its badge, repeat it, each in a form of PLACES. tests/authoring/test_repository.py finds the
place that differs, and the one that no form knows.
"""

import argparse
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTING = re.compile(r'(?m)^(repository = ")[^"\n]*(")')
# In which words a file names the course's repository. (Other people's repositories are named in others.)
PLACES = (
    "https://mybinder.org/v2/gh/{owner}/{name}/",
    "https://colab.research.google.com/github/{owner}/{name}/",
    "https://{owner}.github.io/{name}/",
    "git+https://github.com/{owner}/{name}",
    "git clone https://github.com/{owner}/{name}",
    "git clone https://github.com/{owner}/{name} && cd {name}",
    "git clone -q https://github.com/{owner}/{name}",
    "git clone -q https://github.com/{owner}/{name} && pip install -q -e ./{name}",
    "%cd {name}/notebooks",
    'repository-code: "https://github.com/{owner}/{name}"',
    "`{owner}` is the account that publishes",
)
WORD = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*"  # a name on GitHub, without a full stop that ends the sentence
TEXTS = {".md", ".ipynb", ".cff", ".toml", ".yml", ".yaml"}


class RepositoryError(ValueError):
    """The setting cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Repository:
    """Account and name on GitHub, and the addresses that follow from them."""

    owner: str
    name: str

    @property
    def code(self) -> str:
        """Where the files are: "https://github.com/you/backbones"."""
        return f"https://github.com/{self.owner}/{self.name}"

    @property
    def site(self) -> str:
        """Where GitHub publishes the site: "https://you.github.io/backbones/"."""
        return f"https://{self.owner}.github.io/{self.name}/"

    def file(self, path: str) -> str:
        """The page of one file, by its path in the repository."""
        return f"{self.code}/blob/main/{path}"


def parse(text: str) -> Repository:
    """What a person means by "you/backbones".

    Raises:
        RepositoryError: for anything that is not an account and a name.
    """
    if not re.fullmatch(f"{WORD}/{WORD}", text):
        raise RepositoryError(f"{text!r} is no repository: write account and name, as in you/backbones")
    return Repository(*text.split("/"))


def read(root: Path = ROOT) -> Repository:
    """The setting.

    Raises:
        RepositoryError: where it is missing or is no account and name.
    """
    table = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"].get("backbones", {})
    if "repository" not in table:
        raise RepositoryError(
            'pyproject.toml does not say where the course is: add [tool.backbones], repository = "you/backbones"'
        )
    return parse(table["repository"])


def renewed(text: str, repository: Repository) -> str:
    """A file's text with every form of PLACES filled in."""
    for place in PLACES:
        pattern = re.escape(place).replace(r"\{owner\}", WORD).replace(r"\{name\}", WORD)
        filled = place.format(owner=repository.owner, name=repository.name)
        text = re.sub(pattern, lambda _, filled=filled: filled, text)
    return text


def files(root: Path) -> list[Path]:
    """The texts that git tracks. Tests are none of them: they may name any repository."""
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True, check=True)
    paths = [Path(name) for name in listed.stdout.decode().split("\0") if name]
    return [
        root / path
        for path in paths
        if path.suffix in TEXTS and path.parts[0] != "tests" and (root / path).is_file()
    ]


def outdated(root: Path = ROOT) -> dict[Path, str]:
    """The files that name another repository than the setting does, each with the text that it should have."""
    repository = read(root)
    texts = {path: path.read_text(encoding="utf-8") for path in files(root)}
    return {path: new for path, text in texts.items() if (new := renewed(text, repository)) != text}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """The command.

    Returns:
        0; 1 with a sentence where the setting cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog="python -m authoring.repository", description=__doc__.split("\n")[0]
    )
    parser.add_argument("repository", nargs="?", help="account and name on GitHub, as in you/backbones")
    wanted = parser.parse_args(arguments).repository
    try:
        if wanted:
            repository = parse(wanted)
            setting = root / "pyproject.toml"
            text = setting.read_text(encoding="utf-8")
            new = SETTING.sub(rf"\g<1>{repository.owner}/{repository.name}\g<2>", text, count=1)
            setting.write_text(new, encoding="utf-8")
        repository = read(root)
    except RepositoryError as error:
        print(error, file=sys.stderr)
        return 1
    changed = outdated(root)
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
        print(f"changed: {path.relative_to(root)}")
    if any(path.suffix == ".ipynb" for path in changed):
        print("then: make labs (their cells have checksums)")
    print(f"the course is at {repository.code}, its site at {repository.site}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
