from agora_proto.orders.v1 import orders_tricorn as _orders  # noqa: F401 - registers the contract
from tricorn.contract import Level, method_policy, service_policies


def test_a_policy_says_what_the_contract_says() -> None:
    create = method_policy("agora.orders.v1.OrdersService/CreateOrder")

    assert (create.level, create.status, create.deadline, create.rate) == (Level.USER, 201, 10.0, "write")
    assert create.idempotency_key_field == "idempotency_key"
    assert create.response_etag_field == "etag"
    assert not create.idempotent
    assert [(route.verb, route.template, route.body) for route in create.routes] == [("POST", "/api/v1/orders", "*")]


def test_a_method_without_a_route_or_level_is_internal() -> None:
    figures = method_policy("agora.orders.v1.OrdersService/GetOrderFigures")

    assert (figures.level, figures.routes) == (Level.INTERNAL, ())


def test_python_names_are_in_snake_case() -> None:
    names = [policy.python_name for policy in service_policies("agora.orders.v1.OrdersService")]

    assert names[:2] == ["create_order", "list_orders"]
