# suite: all
# A Rack application under Debian's puma. It makes a temporary directory of its own: Ruby takes no world-writable one.
from debian
apt puma ruby-rack
source=$(mktemp -d)
cat >"$source/config.ru" <<'RUBY'
require 'tempfile'

Dir.mkdir('/tmp/app', 0o700) unless Dir.exist?('/tmp/app')
ENV['TMPDIR'] = '/tmp/app'

run lambda { |env|
  request = Rack::Request.new(env)
  if request.post? && request.path == '/upload'
    size = Tempfile.create('upload') do |file|
      IO.copy_stream(request.body, file)
    end
    [200, { 'content-type' => 'text/plain' }, ["#{size}\n"]]
  elsif request.path == '/'
    [200, { 'content-type' => 'text/plain' }, ["hello from puma\n"]]
  else
    [404, { 'content-type' => 'text/plain' }, ["no such page\n"]]
  end
}
RUBY
copy "$source" /app
rm -rf "$source"
config cmd puma cmd --bind cmd tcp://0.0.0.0:9292 cmd config.ru workingdir /app exposedports 9292/tcp
