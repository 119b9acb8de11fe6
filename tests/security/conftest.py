from tests.deploy.conftest import images, residual, residual_file  # noqa: F401  fixtures
