"""The atlas in a browser: a Starlette application, and pages without libraries or a build step."""
