from mmp2seg.evaluation.metrics.per_image_metric import PerImageMetric


class Recorder(PerImageMetric):
    default_prefix = 'test'

    def process(self, data_batch, data_samples):
        self.results.extend(data_samples)

    def compute_over_images(self, results):
        return {'seen': [(result['image_id'], result['value']) for result in results]}


def evaluate(results, size):
    metric = Recorder()
    metric.process(None, results)
    return metric.evaluate(size)


def test_each_image_once_in_the_order_of_ids():
    results = [{'image_id': i, 'value': v} for i, v in ((5, 'a'), (2, 'b'), (5, 'c'), (1, 'd'))]
    assert evaluate(results, size=3) == {'test/seen': [(1, 'd'), (2, 'b'), (5, 'a')]}


def test_no_image_is_cut_off_when_a_copy_comes_before_it():
    results = [{'image_id': i, 'value': 0} for i in (1, 1, 2)]
    assert evaluate(results, size=2) == {'test/seen': [(1, 0), (2, 0)]}


def test_no_results():
    assert evaluate([], size=0) == {'test/seen': []}
