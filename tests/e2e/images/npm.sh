# suite: trace
# The Express application started by `npm start`, which runs a shell that runs node.
from node
source=$cache/npm-start
mkdir -p "$source"
cat >"$source/package.json" <<'JSON'
{ "name": "app", "version": "1.0.0", "private": true, "scripts": { "start": "node server.js" } }
JSON
copy "$source" /app
umoci config --image "$image:latest" --clear config.entrypoint
config cmd npm cmd start
