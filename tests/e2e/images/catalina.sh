# suite: trace
# Tomcat by its own script, which puts the command line of the JVM together.
from tomcat
umoci config --image "$image:latest" --clear config.entrypoint --clear config.cmd
config entrypoint /usr/share/tomcat10/bin/catalina.sh cmd run env CATALINA_HOME=/usr/share/tomcat10 env CATALINA_BASE=/var/lib/tomcat10 \
    env CATALINA_TMPDIR=/tmp env JAVA_OPTS=-Djava.awt.headless=true
