# suite: all
# Tomcat as Debian ships it, with a page that it compiles, started with the words that its tomcat-start.sh ends in.
from debian
# OpenJDK's installation links manuals, and the base has no directory for them.
run 'mkdir -p /usr/share/man/man1'
apt tomcat10 default-jre-headless
run "cat >/var/lib/tomcat10/webapps/ROOT/sum.jsp <<'JSP'
<%@ page contentType=\"text/plain\" %>hello from tomcat <%= 40 + 2 %>
JSP"
config cmd java cmd -Djava.util.logging.config.file=/var/lib/tomcat10/conf/logging.properties \
    cmd -Djava.util.logging.manager=org.apache.juli.ClassLoaderLogManager cmd -Djava.awt.headless=true \
    cmd -Djdk.tls.ephemeralDHKeySize=2048 cmd -Djava.protocol.handler.pkgs=org.apache.catalina.webresources \
    cmd -Dsun.io.useCanonCaches=false cmd -Dorg.apache.catalina.security.SecurityListener.UMASK=0027 \
    cmd --add-opens=java.base/java.lang=ALL-UNNAMED cmd --add-opens=java.base/java.lang.reflect=ALL-UNNAMED \
    cmd --add-opens=java.base/java.io=ALL-UNNAMED cmd --add-opens=java.base/java.util=ALL-UNNAMED \
    cmd --add-opens=java.base/java.util.concurrent=ALL-UNNAMED cmd --add-opens=java.rmi/sun.rmi.transport=ALL-UNNAMED \
    cmd -classpath cmd /usr/share/tomcat10/bin/bootstrap.jar:/usr/share/tomcat10/bin/tomcat-juli.jar \
    cmd -Dcatalina.base=/var/lib/tomcat10 cmd -Dcatalina.home=/usr/share/tomcat10 cmd -Djava.io.tmpdir=/tmp \
    cmd org.apache.catalina.startup.Bootstrap cmd start \
    user tomcat workingdir /var/lib/tomcat10 exposedports 8080/tcp
