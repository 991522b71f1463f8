"""The web server: gunicorn's processes, each with one event loop for connections and a few threads for requests."""
