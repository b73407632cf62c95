#!/bin/sh
# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tools/site.sh: builds the documentation site into .test/site/html, with warnings as errors.
# antsibull-docs writes the pages of the plugins and the role; README.md and docs/*.md are the others as they stand.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
site=.test/site
source=$site/source
rm -rf "$site"
# antsibull-docs refuses a folder that others may write to.
umask 022
mkdir -p "$source/plugins"
ANSIBLE_COLLECTIONS_PATH="$PWD/.venv/collections" ANSIBLE_HOME="$PWD/.test/ansible" antsibull-docs \
    --config-file docs/docsite/antsibull-docs.cfg \
    collection --use-current --fail-on-error --squash-hierarchy --dest-dir "$source/plugins" netports.apple
cp -R docs "$source/docs"
cat README.md docs/docsite/contents.md >"$source/index.md"
sphinx-build --fail-on-warning --keep-going --quiet --conf-dir docs/docsite "$source" "$site/html"
# A page is read without a network: it loads nothing from a server.
if grep -rnE '<(script|link|img|iframe)[^>]*(src|href)="(https?:)?//' "$site/html" --include='*.html' ||
    grep -rnE '(@import|url\()[^;]{0,8}(https?:)?//' "$site/html" --include='*.css' -o; then
    echo "site: the pages above would load something from a server" >&2
    exit 1
fi
echo "The site is in $site/html/index.html"
