#!/bin/sh
# Takes the pictures of the README: a report, and a notebook in JupyterLab.
#
#   docs/make/screenshots.sh .build/release/prn
#
# Needs chromium, and a Python environment on the path with jupyterlab, nbconvert and ipykernel, in which the kernel is
# installed. Made with JupyterLab 4.6 and Chromium 156.
set -eu
prn=$(realpath "$1")
root=$(cd "$(dirname "$0")/../.." && pwd)
pictures=$root/docs/pictures
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
work=$(mktemp -d)
lab=
trap '[ -z "$lab" ] || kill "$lab"; rm -rf "$work"' EXIT
mkdir -p "$pictures"

# shoot URL FILE WIDTH HEIGHT
shoot() {
  "$chromium" --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/.chromium" \
    --window-size="$3,$4" --virtual-time-budget=30000 --screenshot="$pictures/$2" "$1" 2>/dev/null
}

cd "$work"
ln -s "$root/data" data
cp -r "$root/notebooks" notebooks
"$prn" run notebooks/masks.prn --report masks.html --quiet >/dev/null
shoot "file://$work/masks.html" report.png 960 1000

rm -r .prn out masks.html
export HOME="$work" JUPYTER_DATA_DIR="$work/.jupyter/data"
settings=.jupyter/lab/user-settings/@jupyterlab/apputils-extension
mkdir -p "$settings"
echo '{"fetchNews":"false"}' >"$settings/notification.jupyterlab-settings"
"$prn" kernel install
"$prn" export notebooks/masks.prn to=masks.ipynb
jupyter nbconvert --to notebook --execute --inplace masks.ipynb
jupyter trust masks.ipynb
jupyter lab --no-browser --ip 127.0.0.1 --port 8898 --IdentityProvider.token=prn --allow-root \
  >.lab.log 2>&1 &
lab=$!
until grep -q 'http://127.0.0.1:8898/lab' .lab.log; do sleep 1; done
shoot "http://127.0.0.1:8898/lab/tree/masks.ipynb?token=prn&reset" jupyterlab.png 1280 1180
