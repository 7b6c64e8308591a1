#!/usr/bin/env bash
# The part of try_image.sh that has mounts and processes of its own: sets up what an engine would, serves one picture.
# Arguments: the image's root, the folder for /data, a file with the image's environment.
set -euo pipefail
root=$1 data=$2

mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$data" "$root/data"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/dev"
for device in null zero urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done

readarray -t environment <"$3"
as_user=(setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all)
inside=(chroot "$root" "${as_user[@]}" env --ignore-environment "${environment[@]}" PORT=5055)

"${inside[@]}" flask-detector serve &
server=$!
"${inside[@]}" python3 - <<'EOF'
import io, json, os, time, urllib.request
from PIL import Image

base = f"http://127.0.0.1:{os.environ['PORT']}"


def ask(path, data=None):
    with urllib.request.urlopen(base + path, data=data, timeout=30) as answer:
        return answer.read()


def wait(what, condition):
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come true")
        time.sleep(0.2)


def is_up():
    try:
        return ask("/healthz") == b"ok\n"
    except OSError:
        return False


wait("an answer", is_up)
picture = io.BytesIO()
Image.new("RGB", (640, 480), "teal").save(picture, "JPEG")
id = json.loads(ask("/api/v1/detections", picture.getvalue()))["id"]
wait("a result", lambda: json.loads(ask(f"/api/v1/detections/{id}"))["status"] == "done")
print("a picture was detected; the process may write:",
      [path for path in ("/", "/opt", "/usr", "/etc", "/tmp", "/data") if os.access(path, os.W_OK)])
EOF
kill -TERM "$server"
status=0
wait "$server" || status=$?
echo "after SIGTERM it ended with status $status"
find "$data" -maxdepth 1 -printf '/data/%P\n' | sort
exit "$status"
