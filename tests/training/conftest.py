from tests.data.conftest import data_dir, idx_folder  # noqa: F401  fixtures
