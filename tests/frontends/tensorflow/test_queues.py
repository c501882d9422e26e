"""Queues, their runners, pipelines of them, readers; compared with what TensorFlow 1.15 does."""

import threading
import time

import numpy as np
import pytest


def drained(tf, fetches):
    """Everything that a pipeline of queues gives, run as scripts run it."""
    found = []
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        try:
            while not coordinator.should_stop():
                found.append(session.run(fetches))
        except tf.errors.OutOfRangeError:
            coordinator.request_stop()
        coordinator.join(threads, stop_grace_period_secs=10)
    return found


def later(function):
    """The function in a thread that has begun."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    time.sleep(0.05)
    return thread


def test_a_closed_queue_gives_what_it_has(tf):
    queue = tf.FIFOQueue(10, [tf.float32, tf.int32], shapes=[[2], []], name="q")
    fill = queue.enqueue_many([[[1.0, 2.0], [3, 4]], [3, 4]])
    some = queue.dequeue_up_to(5)
    with tf.Session() as session:
        session.run([fill])
        session.run(queue.enqueue([[5.0, 6.0], 7]))
        assert session.run(queue.size()) == 3
        row, number = session.run(queue.dequeue())
        assert row.tolist() == [1, 2]
        assert number == 3
        assert not session.run(queue.is_closed())
        session.run(queue.close())
        assert session.run(queue.is_closed())
        with pytest.raises(tf.errors.CancelledError, match="'_0_q' is closed"):
            session.run(fill)
        message = "closed and has insufficient elements .requested 3, current size 2"
        with pytest.raises(tf.errors.OutOfRangeError, match=message):
            session.run(queue.dequeue_many(3))
        assert session.run(some)[1].tolist() == [4, 7]
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(some)


def test_names_and_shapes_are_tensorflows(tf):
    queue = tf.FIFOQueue(10, [tf.float32, tf.int32], shapes=[[2], []], name="q")
    with tf.name_scope("s"):
        assert queue.enqueue([[1.0, 2.0], 3]).name == "s/q_enqueue"
        row, number = queue.dequeue()
        assert (row.name, number.name) == ("s/q_Dequeue:0", "s/q_Dequeue:1")
        assert queue.dequeue_many(3)[0].shape.as_list() == [3, 2]
        assert queue.dequeue_up_to(3)[0].shape.as_list() == [None, 2]
        assert queue.close().name == "s/q_Close"
    named = tf.PaddingFIFOQueue(10, [tf.float32], [[None]], names=["a"])
    assert named.dequeue_many(2)["a"].shape.as_list() == [2, None]
    with pytest.raises(ValueError, match="dictionary in a Queue with names"):
        named.enqueue([1.0])
    with pytest.raises(ValueError, match="do not match names"):
        named.enqueue({"b": [1.0]})
    with pytest.raises(ValueError, match="fully defined"):
        tf.FIFOQueue(10, tf.float32, shapes=[[None]])
    with pytest.raises(ValueError, match="are incompatible"):
        queue.enqueue([[1.0], 3])


def test_a_full_queue_waits_for_room(tf):
    queue = tf.FIFOQueue(2, tf.int32, shapes=[[]])
    with tf.Session() as session:
        fill = queue.enqueue_many([[1, 2, 3, 4]])
        thread = later(lambda: session.run(fill))
        assert thread.is_alive()
        assert session.run(queue.dequeue_many(4)).tolist() == [1, 2, 3, 4]
        thread.join(5)
        assert not thread.is_alive()


def test_closing_waits_for_those_before_or_cancels_them(tf):
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    put, take = queue.enqueue([1]), queue.dequeue()
    close, cancel = queue.close(), queue.close(cancel_pending_enqueues=True)
    caught = []
    with tf.Session() as session:
        session.run(put)
        pending = later(lambda: session.run(put))
        closing = later(lambda: session.run(close))
        assert closing.is_alive()
        assert [session.run(take), session.run(take)] == [1, 1]
        closing.join(5)
        pending.join(5)
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(take)
    with tf.Session() as session:

        def refused():
            with pytest.raises(tf.errors.CancelledError, match="was cancelled"):
                session.run(put)
            caught.append(True)

        session.run(put)
        thread = later(refused)
        session.run(cancel)
        thread.join(5)
    assert caught


def test_a_closed_session_wakes_those_who_wait(tf):
    queue = tf.FIFOQueue(1, tf.int32)
    take, caught = queue.dequeue(), []
    session = tf.Session()

    def waiting():
        with pytest.raises(tf.errors.CancelledError):
            session.run(take)
        caught.append(True)

    thread = later(waiting)
    session.close()
    thread.join(5)
    assert caught


def test_what_was_fed_is_copied(tf):
    queue, value = tf.FIFOQueue(3, tf.float32), np.ones(2, np.float32)
    fed = tf.placeholder(tf.float32)
    with tf.Session() as session:
        session.run(queue.enqueue(fed), {fed: value})
        value[:] = 7
        assert session.run(queue.dequeue()).tolist() == [1, 1]


def test_shuffling_keeps_some_back(tf):
    queue = tf.RandomShuffleQueue(100, 90, tf.int32, shapes=[[]], seed=3)
    fill, take = queue.enqueue_many([tf.range(100)]), queue.dequeue_many(10)
    with tf.Session() as session:
        session.run(fill)
        first = session.run(take).tolist()
        assert first != sorted(first)
        thread = later(lambda: session.run(take))
        assert thread.is_alive()
        session.run(queue.close())
        thread.join(5)
        rest = session.run(queue.dequeue_up_to(100))
        assert len(rest) == 80
        assert len({*first, *rest.tolist()}) == 90


def test_padding_and_priority(tf):
    padding = tf.PaddingFIFOQueue(10, [tf.int32], [[None]])
    puts = [padding.enqueue(tf.range(size)) for size in (2, 3)]
    priority = tf.PriorityQueue(10, [tf.string], [[]])
    with tf.Session() as session:
        session.run(puts[0])
        session.run(puts[1])
        assert session.run(padding.dequeue_many(2)).tolist() == [[0, 1, 0], [0, 1, 2]]
        for number, text in [(5, "a"), (1, "b"), (3, "c")]:
            session.run(priority.enqueue((tf.constant(number, tf.int64), text)))
        assert [session.run(priority.dequeue())[1] for _ in range(3)] == [b"b", b"c", b"a"]


def test_lines_of_files_in_batches(tf, tmp_path):
    for name, text in (("a.csv", "h\n1,2\n3,4\n"), ("b.csv", "h\n5,6\n")):
        (tmp_path / name).write_text(text)
    names = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    files = tf.train.string_input_producer(names, num_epochs=2, shuffle=False)
    key, value = tf.TextLineReader(skip_header_lines=1).read(files)
    batch = tf.train.batch([key, value], 4, allow_smaller_final_batch=True)
    found = drained(tf, batch)
    lines = [b"1,2", b"3,4", b"5,6"] * 2
    assert [len(values) for _, values in found] == [4, 2]
    assert [line for _, values in found for line in values] == lines
    assert found[0][0][0] == f"{names[0]}:2".encode()
    assert batch[0].name == "batch:0"
    assert [v.name for v in tf.local_variables()] == ["input_producer/limit_epochs/epochs:0"]


def test_files_that_match_a_pattern_once(tf, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name)
    files = tf.train.match_filenames_once(str(tmp_path / "*.txt"))
    assert files in tf.local_variables() and files.name == "matching_filenames:0"
    queue = tf.train.string_input_producer(files, shuffle=False, num_epochs=1)
    (tmp_path / "c.txt").write_text("c")
    _, text = tf.WholeFileReader().read(queue)
    assert drained(tf, text) == [b"a", b"b", b"c"]


def test_readers_of_records_and_files(tf, tmp_path):
    path = str(tmp_path / "records")
    with tf.python_io.TFRecordWriter(path) as writer:
        for number in range(5):
            writer.write(b"record %d" % number)
    files = tf.train.string_input_producer([path], num_epochs=1)
    reader = tf.TFRecordReader()
    values = reader.read_up_to(files, 3).values
    assert [v.tolist() for v in drained(tf, values)][1] == [b"record 3", b"record 4"]
    files = tf.train.string_input_producer([path], num_epochs=1)
    whole = tf.WholeFileReader().read(files)
    assert whole._fields == ("key", "value")
    [(key, content)] = drained(tf, whole)
    assert key == path.encode()
    assert len(content) == 5 * (16 + 8)
    files = tf.train.string_input_producer([path], num_epochs=1)
    pieces = tf.FixedLengthRecordReader(24, header_bytes=24).read(files).value
    assert len(drained(tf, pieces)) == 4


def test_slices_shuffled_with_a_seed(tf):
    rows = tf.constant(np.arange(12.0).reshape(6, 2))
    row, number = tf.train.slice_input_producer([rows, tf.range(6)], num_epochs=2, seed=3)
    found = drained(tf, tf.train.batch({"row": row, "number": number}, 3))
    numbers = [n for batch in found for n in batch["number"].tolist()]
    assert sorted(numbers[:6]) == sorted(numbers[6:]) == list(range(6))
    assert all((batch["row"][:, 0] == 2 * batch["number"]).all() for batch in found)


def test_shuffled_batches_by_two_threads_lose_nothing(tf):
    number = tf.train.range_input_producer(20, num_epochs=2).dequeue()
    batch = tf.train.shuffle_batch(
        [number],
        6,
        capacity=30,
        min_after_dequeue=10,
        num_threads=2,
        allow_smaller_final_batch=True,
    )
    found = [n for part in drained(tf, batch) for n in part.tolist()]
    assert sorted(found) == sorted([*range(20), *range(20)])


def test_only_what_is_to_be_kept_is_put_in(tf):
    number = tf.train.range_input_producer(6, num_epochs=1, shuffle=False).dequeue()
    even = tf.equal(number % 2, 0)
    batch = tf.train.maybe_batch([number], even, 3)
    assert [b.tolist() for b in drained(tf, batch)] == [[0, 2, 4]]


def test_an_error_of_a_thread_reaches_join(tf):
    broken = tf.py_func(lambda: np.ones(3), [], tf.float32)
    broken.set_shape([3])
    batch = tf.train.batch([broken], 2)
    with tf.Session() as session:
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(batch)
        with pytest.raises(tf.errors.InvalidArgumentError, match="is double, but expects float"):
            coordinator.join(threads)


def test_runners_survive_a_meta_graph(tf, tmp_path):
    tf.train.batch([tf.constant(1.0)], 2)
    path = str(tmp_path / "graph.meta")
    tf.train.export_meta_graph(path)
    with tf.Graph().as_default():
        tf.train.import_meta_graph(path)
        [runner] = tf.get_collection("queue_runners")
        assert runner.name == "batch/fifo_queue"
        assert [op.type for op in runner.enqueue_ops] == ["QueueEnqueueV2"]


def test_errors_of_producers_and_runners(tf):
    with pytest.raises(ValueError, match="non-null input tensor"):
        tf.train.string_input_producer([])
    with pytest.raises(ValueError, match="num_epochs must be > 0"):
        tf.train.limit_epochs([1.0], 0)
    with pytest.raises(ValueError, match="at least one tensor"):
        tf.train.batch([], 2)
    with pytest.raises(ValueError, match="queue and enqueue_ops"):
        tf.train.QueueRunner()
    with pytest.raises(ValueError, match="No default session"):
        tf.train.start_queue_runners()


def test_a_coordinator_stops_its_threads(tf):
    coordinator, calls = tf.train.Coordinator(), []

    def work():
        with coordinator.stop_on_exception():
            while not coordinator.should_stop():
                calls.append(1)
                if len(calls) == 3:
                    raise RuntimeError("enough")

    threads = [threading.Thread(target=work)]
    threads[0].start()
    with pytest.raises(RuntimeError, match="enough"):
        coordinator.join(threads)
    assert coordinator.joined
    coordinator.clear_stop()
    assert not coordinator.should_stop()
    coordinator.request_stop(tf.errors.OutOfRangeError(None, None, "done"))
    coordinator.join()
    coordinator.clear_stop()
    looper = tf.train.LooperThread.loop(coordinator, 0.001, calls.clear)
    time.sleep(0.02)
    coordinator.request_stop()
    coordinator.join([looper])
    assert not calls


def test_threads_that_do_not_stop_are_named(tf):
    coordinator, wait = tf.train.Coordinator(), threading.Event()
    thread = threading.Thread(target=wait.wait, name="stubborn")
    thread.start()
    coordinator.request_stop()
    with pytest.raises(RuntimeError, match="still running: stubborn"):
        coordinator.join([thread], stop_grace_period_secs=0.05)
    coordinator.join([thread], stop_grace_period_secs=0.05, ignore_live_threads=True)
    wait.set()


def test_sparse_tensors_in_batches(tf):
    number = tf.train.range_input_producer(4, num_epochs=1, shuffle=False).dequeue()
    place = tf.reshape(tf.to_int64(number), [1, 1])
    sparse = tf.SparseTensor(place, [tf.to_float(number)], [5])
    batch, numbers = tf.train.batch([sparse, number], 2)
    assert batch.values.dtype == tf.float32
    found = drained(tf, [tf.sparse_tensor_to_dense(batch), numbers])
    assert found[1][0].tolist() == [[0, 0, 2, 0, 0], [0, 0, 0, 3, 0]]
    assert found[1][1].tolist() == [2, 3]
