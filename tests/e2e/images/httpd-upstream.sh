# The Apache HTTP Server where its official image has it, below /usr/local/apache2 and of no package: Debian's program, its
# modules and a configuration of the official one's settings. What is compiled in (/etc/apache2) leads there by a link.
# suite: manifests
from debian
apt apache2-bin media-types
run 'prefix=/usr/local/apache2
mkdir -p $prefix/bin $prefix/cgi-bin $prefix/conf $prefix/error $prefix/htdocs $prefix/icons $prefix/logs $prefix/modules
cp /usr/sbin/apache2 $prefix/bin/httpd
cp /usr/lib/apache2/modules/*.so $prefix/modules/
cp /etc/mime.types $prefix/conf/mime.types
echo "<html><body><h1>It works!</h1></body></html>" >$prefix/htdocs/index.html
cat >$prefix/conf/httpd.conf <<CONF
ServerRoot "$prefix"
ServerName localhost
Listen 80
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule dir_module modules/mod_dir.so
LoadModule mime_module modules/mod_mime.so
LoadModule status_module modules/mod_status.so
User www-data
Group www-data
DefaultRuntimeDir logs
PidFile logs/httpd.pid
DocumentRoot "$prefix/htdocs"
<Directory />
    AllowOverride none
    Require all denied
</Directory>
<Directory "$prefix/htdocs">
    Require all granted
</Directory>
DirectoryIndex index.html
TypesConfig conf/mime.types
ErrorLog /proc/self/fd/2
LogLevel warn
LogFormat "%h %l %u %t \"%r\" %>s %b" common
CustomLog /proc/self/fd/1 common
CONF
# What the program needs stays when its package goes, as where it is built from source.
apt-mark -q manual $(dpkg-query -W -f "\${Depends}" apache2-bin | tr "," "\n" | sed "s/(.*//; s/|.*//" | tr -d " " | grep ^lib) >/dev/null
dpkg --purge --force-depends apache2-bin
rm -rf /etc/apache2
mkdir -p /etc/apache2
ln -s $prefix/conf/httpd.conf /etc/apache2/apache2.conf
chown -R www-data:www-data $prefix/htdocs
printf "#!/bin/sh\nset -e\n\n# One of an earlier container of the same pod may be there.\nrm -f $prefix/logs/httpd.pid\n\nexec httpd -DFOREGROUND \"\$@\"\n" >/usr/local/bin/httpd-foreground
chmod 755 /usr/local/bin/httpd-foreground'
config cmd httpd-foreground workingdir /usr/local/apache2 exposedports 80/tcp stopsignal SIGWINCH \
    env HTTPD_PREFIX=/usr/local/apache2 \
    env PATH=/usr/local/apache2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
