"""One exchange with a web server: the only code that opens sockets."""
