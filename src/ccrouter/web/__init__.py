"""The pages that a person looks at in a browser, as text. Serves nothing and reads no request: that is the server's."""
