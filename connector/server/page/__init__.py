"""The search page: static files for a browser, without a build step, and the routes that serve them."""
