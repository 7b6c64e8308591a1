#!/usr/bin/env bash
# Builds the image of the Dockerfile without Docker and runs it as Docker would: as its own user, its root read-only.
#
# For machines that can fetch Debian's packages but no images: the base is made by debootstrap, the steps are run by
# buildah. To be run as root, with buildah and debootstrap installed; arguments go to `buildah build`, such as
# --build-arg MODELS=nanodet-g, or --volume /etc/pip.conf:/etc/pip.conf:ro where pip must be told of a mirror.
set -euo pipefail
cd "$(dirname "$0")/.."

export BUILDAH_ISOLATION=chroot
work=$(mktemp --directory)
containers=()
clean_up() {
    for container in "${containers[@]}"; do buildah rm "$container" >/dev/null; done
    rm -rf "$work"
}
trap clean_up EXIT

if ! buildah inspect --type image flask-detector-base >/dev/null 2>&1; then
    echo '--- base'
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates trixie "$work/base" >/dev/null
    base=$(buildah from scratch)
    containers+=("$base")
    buildah copy --quiet "$base" "$work/base" / >/dev/null
    buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$base"
    buildah commit --quiet "$base" flask-detector-base >/dev/null
fi

echo '--- build'
buildah build --format docker --layers --build-arg BASE=localhost/flask-detector-base --tag flask-detector "$@" .

echo '--- run'
container=$(buildah from flask-detector)
containers+=("$container")
mkdir "$work/data"
chown 10001:10001 "$work/data"
buildah inspect --type image --format '{{range .Docker.Config.Env}}{{println .}}{{end}}' flask-detector >"$work/environment"
unshare --mount --pid --fork --kill-child tools/run_as_container.sh \
    "$(buildah mount "$container")" "$work/data" "$work/environment"
