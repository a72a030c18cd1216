"""The pages: parse, call a service, show. Server-rendered; everything but liveness works without JavaScript."""
