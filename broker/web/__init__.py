"""The web application: pages rendered on the server, light enough for a slow line."""

from broker.web.app import create_app

__all__ = ["create_app"]
