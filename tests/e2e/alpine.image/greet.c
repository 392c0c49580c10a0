/* The web server's own library. */
const char *greeting(void) { return "hello from musl\n"; }
