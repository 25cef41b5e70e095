"""One module for each page, with a function `show`. A page asks the API through `console.session.client`."""
