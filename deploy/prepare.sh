#!/bin/bash
# Prepare a machine for a class on JupyterHub; as root, and again for newer lessons (deploy/README.md):
#
#   sudo deploy/prepare.sh dist/backbones-course.zip [PLACE]       (make release writes the zip)
#
# makes two groups of users, learners and instructors, and below PLACE, /srv/backbones if not said,
#
#   lessons    what learners get; deploy/start.py copies it into their homes
#   deploy     a copy of this folder, which learners cannot read where the solutions lie
#   exchange   where labs are handed out and handed in: nbgrader's
#   hub        the hub's database and keys, for root only
set -euo pipefail
umask 022
zip=$(realpath "${1:?say where the zip for learners is: make release writes dist/backbones-course.zip}")
place=${2:-/srv/backbones}
here=$(cd "$(dirname "$0")" && pwd)

groupadd --force learners
groupadd --force instructors
mkdir -p "$place/exchange" "$place/hub"
chmod 1777 "$place/exchange" # nbgrader wants it so; the last bit lets nobody remove what is another's
chmod 700 "$place/hub"

rm -rf "$place/lessons.new" "$place/deploy.new"
python3 -m zipfile -e "$zip" "$place/lessons.new"
cp -r "$here" "$place/deploy.new"
chmod -R u=rwX,go=rX "$place/lessons.new" "$place/deploy.new"
rm -rf "$place/lessons" "$place/deploy"
mv "$place/lessons.new/backbones-course" "$place/lessons"
mv "$place/deploy.new" "$place/deploy"
rmdir "$place/lessons.new"
