from agora_proto.inventory.v1 import inventory_pb2 as inventory
from agora_proto.pricing.v1 import pricing_pb2 as pricing
from tricorn.contract.compare import differences


def test_equal_messages_have_no_differences() -> None:
    stock = inventory.Stock(product_id="a", available=3)

    assert differences(stock, stock) == []


def test_a_difference_says_where_and_what() -> None:
    one = inventory.BatchGetStockResponse(stocks=[inventory.Stock(product_id="a", available=3)])
    other = inventory.BatchGetStockResponse(stocks=[inventory.Stock(product_id="a", available=4)])

    assert [str(found) for found in differences(one, other)] == ["stocks[0].available: expected 3, got 4"]


def test_a_field_with_a_tolerance_is_compared_by_it() -> None:
    one = pricing.Repricing(product_id="a", elasticity=-1.5)
    close = pricing.Repricing(product_id="a", elasticity=-1.5 * (1 + 1e-12))
    far = pricing.Repricing(product_id="a", elasticity=-1.5 * (1 + 1e-6))

    assert differences(one, close) == []
    assert [found.path for found in differences(one, far)] == ["elasticity"]


def test_an_absent_optional_is_not_a_zero() -> None:
    found = differences(pricing.Repricing(), pricing.Repricing(elasticity=0.0))

    assert [str(each) for each in found] == ["elasticity: expected absent, got 0.0"]


def test_lists_of_different_lengths_differ_as_a_whole() -> None:
    found = differences(inventory.BatchGetStockResponse(stocks=[inventory.Stock()]), inventory.BatchGetStockResponse())

    assert [str(each) for each in found] == ["stocks: expected 1 entries, got 0 entries"]
