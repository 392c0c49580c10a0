# suite: all
# An Express application on Debian's node, with npm left installed as most Dockerfiles leave it.
from debian
apt nodejs npm
source=$cache/express
[ -e "$source/.complete" ] || {
    rm -rf "$source"
    mkdir -p "$source"
    (cd "$source" && npm init -y && npm install --no-audit --no-fund --no-update-notifier express@4.21.2) >"$cache/npm.log" 2>&1 \
        || { tail -n 20 "$cache/npm.log" >&2; die "npm install failed"; }
    cat >"$source/server.js" <<'JS'
const fs = require('fs')
const os = require('os')
const path = require('path')
const express = require('express')

const app = express()
app.get('/', (request, response) => response.send('hello from express\n'))
app.post('/upload', express.raw({ type: '*/*' }), (request, response) => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'upload-'))
  fs.writeFileSync(path.join(directory, 'body'), request.body)
  fs.rmSync(directory, { recursive: true })
  response.send(`${request.body.length}\n`)
})
const server = app.listen(3000, '0.0.0.0')
process.on('SIGTERM', () => server.close(() => process.exit(0)))
JS
    touch "$source/.complete"
}
copy "$source" /app
config entrypoint node cmd server.js workingdir /app env NODE_ENV=production exposedports 3000/tcp
