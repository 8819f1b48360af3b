"""Plugins: how a hook is wrapped, how implementations are found."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="doubled-prices",
        library="pluggy",
        change="argument change",
        entity="HookimplMarker",
        docs="https://pluggy.readthedocs.io/en/stable/changelog.html",
        statement=(
            "Return a plugin that wraps the hook price(item) and doubles every price that other plugins give, in"
            " pluggy's newest way to wrap a hook."
        ),
        stub='import pluggy\n\nhookimpl = pluggy.HookimplMarker("shop")\n\ndef doubling_plugin() -> object:\n',
        visible="assert hasattr(doubling_plugin(), 'price')",
        methods="""
        def prices(self, *prices):
            import pluggy
            class Seller:
                def __init__(self, own):
                    self.own = own
                @pluggy.HookimplMarker("shop")
                def price(self, item):
                    return self.own
            manager = pluggy.PluginManager("shop")
            for plugin in (*map(Seller, prices), sample.doubling_plugin()):
                manager.register(plugin)
            return sorted(manager.hook.price(item="tea"))
        def test_one(self):
            self.assertEqual(self.prices(3), [6])
        def test_two(self):
            self.assertEqual(self.prices(1, 5), [2, 10])
        def test_no_seller(self):
            self.assertEqual(self.prices(), [])
        def test_wraps(self):
            plugin = sample.doubling_plugin()
            options = plugin.price.shop_impl
            self.assertTrue(options.get("wrapper") or options.get("hookwrapper"))
        """,
        old=Side(
            "0.13.1",
            """
            class Doubling:
                @hookimpl(hookwrapper=True)
                def price(self, item):
                    outcome = yield
                    outcome.force_result([2 * price for price in outcome.get_result()])

            return Doubling()
            """,
            ("TypeError",),
            released="2019-11",
            calls=("hookimpl", "outcome.force_result", "outcome.get_result"),
            doc="pluggy 0.13: hookimpl(hookwrapper=True) wraps; yield gives an outcome: get_result, force_result.",
        ),
        new=Side(
            "1.5.0",
            """
            class Doubling:
                @hookimpl(wrapper=True)
                def price(self, item):
                    prices = yield
                    return [2 * price for price in prices]

            return Doubling()
            """,
            released="2024-04",
            calls=("hookimpl",),
            doc="pluggy 1.2 and later: hookimpl(wrapper=True) wraps; yield gives the result, return replaces it; new.",
        ),
    ),
    Task(
        name="hooks-by-prefix",
        library="pluggy",
        change="argument change",
        entity="PluginManager",
        docs="https://pluggy.readthedocs.io/en/stable/changelog.html",
        statement=(
            "Return a manager of the project 'shop' with the plugin registered, whose methods named shop_... are hook"
            " implementations though nothing marks them; let pluggy go by the prefix if it can."
        ),
        stub="import pluggy\n\ndef manager_of(plugin: object) -> pluggy.PluginManager:\n",
        visible="""
        class Seller:
            def shop_price(self, item):
                return 7
        assert manager_of(Seller()).hook.shop_price(item='tea') == [7]
        """,
        methods="""
        def setUp(self):
            class Seller:
                def shop_price(self, item):
                    return len(item)
                def shop_name(self):
                    return "corner"
                def stock(self):
                    return 0
            self.seller = Seller()
        def test_hook(self):
            self.assertEqual(sample.manager_of(self.seller).hook.shop_price(item="apple"), [5])
        def test_other_hook(self):
            self.assertEqual(sample.manager_of(self.seller).hook.shop_name(), ["corner"])
        def test_other_methods_are_none(self):
            self.assertFalse(hasattr(sample.manager_of(self.seller).hook, "stock"))
        def test_registered(self):
            self.assertTrue(sample.manager_of(self.seller).is_registered(self.seller))
        """,
        old=Side(
            "0.13.1",
            """
            manager = pluggy.PluginManager("shop", implprefix="shop_")
            manager.register(plugin)
            return manager
            """,
            released="2019-11",
            calls=("pluggy.PluginManager", "manager.register"),
            doc="pluggy 0.13: PluginManager(project_name, implprefix) takes methods by their prefix, deprecated.",
        ),
        new=Side(
            "1.5.0",
            """
            mark = pluggy.HookimplMarker("shop")
            for name, method in vars(type(plugin)).items():
                if name.startswith("shop_"):
                    mark(method)
            manager = pluggy.PluginManager("shop")
            manager.register(plugin)
            return manager
            """,
            ("TypeError",),
            released="2024-04",
            calls=("pluggy.HookimplMarker", "pluggy.PluginManager", "manager.register"),
            doc="pluggy 1: implprefix is gone; mark every implementation with a HookimplMarker.",
        ),
    ),
)
