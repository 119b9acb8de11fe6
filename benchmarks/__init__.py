"""What training costs, measured: one command each, ratios within one run.

python -m benchmarks.NAME        runs one, prints its tables, writes benchmarks/results/NAME.json
python -m benchmarks.pages       puts the tables of all results into docs/
"""

import bssl_tf  # before any of them imports TensorFlow: it chooses legacy Keras
