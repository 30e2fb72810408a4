"""A class on one machine: JupyterHub, a server for every learner, nbgrader's exchange between them.

prepare.sh copies this folder to PLACE/deploy, where the hub is started as root (deploy/README.md):

    sudo /srv/backbones/venv/bin/jupyterhub -f /srv/backbones/deploy/jupyterhub_config.py

Users are this machine's: learners in the group "learners", instructors in "instructors". Each has a home that
nobody else can read, and that, not the hub, is what keeps them apart. Nothing listens to other machines: a web
server with TLS stands in front of `bind_url`.
"""

import grp
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (JupyterHub puts it into this file's namespace)

deploy = Path(__file__).resolve().parent
hub = deploy.parent / "hub"  # for root only


def settings(spawner) -> str:
    """Where a user's Jupyter looks for settings: learners do not get the menus of those who grade."""
    teaches = spawner.user.name in grp.getgrnam("instructors").gr_mem
    return str(deploy) if teaches else f"{deploy / 'learner'}:{deploy}"


c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.db_url = f"sqlite:///{hub / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(hub / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(hub / "proxy.pid")

c.JupyterHub.authenticator_class = "pam"
c.LocalAuthenticator.allowed_groups = {"learners", "instructors"}

c.JupyterHub.spawner_class = "localprocess"
c.Spawner.cmd = [sys.executable, str(deploy / "start.py")]
c.Spawner.notebook_dir = "~/backbones"
c.Spawner.default_url = "/lab/tree/notebooks/00_what_is_a_backbone.ipynb"
c.Spawner.start_timeout = 600  # a class that arrives at once on few cores
c.Spawner.http_timeout = 600
# So many threads torch uses for each learner. (That, and memory, nobody enforces: systemdspawner would.)
c.Spawner.cpu_limit = 1
c.Spawner.environment = {"JUPYTER_CONFIG_PATH": settings}
