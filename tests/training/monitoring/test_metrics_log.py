from bssl_tf.training.monitoring.metrics_log import MetricsTable, read_table


def test_rows_are_on_disk_at_once_and_come_back(tmp_path):
    table = MetricsTable(tmp_path / "metrics.csv", None, 0)
    table.append(10, {"loss": 0.5})
    table.append(20, {"loss": 0.25})
    assert read_table(tmp_path / "metrics.csv") == [{"step": 10, "loss": 0.5}, {"step": 20, "loss": 0.25}]


def test_new_columns_leave_earlier_cells_empty(tmp_path):
    table = MetricsTable(tmp_path / "epochs.csv", None, 0)
    table.append(1, {"dead_channels": 0.0})
    table.append(2, {"dead_channels": 0.5, "knn": 0.75})
    assert read_table(tmp_path / "epochs.csv") == [
        {"step": 1, "dead_channels": 0.0},
        {"step": 2, "dead_channels": 0.5, "knn": 0.75},
    ]


def test_rows_after_the_step_resumed_from_are_dropped(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path, None, 0)
    for step in (10, 20, 30):
        table.append(step, {"loss": step / 10})
    with open(path, "a") as file:
        file.write("40,")  # a row cut off in the middle
    resumed = MetricsTable(path, None, 20)
    resumed.append(30, {"loss": 9.0})
    assert [row["step"] for row in read_table(path)] == [10, 20, 30]
    assert read_table(path)[-1]["loss"] == 9.0
