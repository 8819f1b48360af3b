"""Caches, stores, iterators and classes."""

from papers.gitchameleon.tasks import Side, Task

TASKS = (
    Task(
        name="expiring-cache",
        library="cachetools",
        change="new feature or additional dependency based change",
        entity="TLRUCache",
        docs="https://cachetools.readthedocs.io/en/stable/",
        statement="Return a cache in which each item lives as many ticks of timer as its value says.",
        stub="import cachetools\n\ndef expiring(maxsize: int, timer) -> cachetools.Cache:\n",
        visible="cache = expiring(4, lambda: 0)\ncache['a'] = 2\nassert cache['a'] == 2",
        methods="""
        def setUp(self):
            self.now = 0
            self.cache = sample.expiring(8, lambda: self.now)
        def test_lives(self):
            self.cache["a"] = 3
            self.now = 2
            self.assertEqual(self.cache.get("a"), 3)
        def test_dies(self):
            self.cache["a"] = 3
            self.now = 4
            self.assertIsNone(self.cache.get("a"))
        def test_each_its_own(self):
            self.cache["a"], self.cache["b"] = 1, 5
            self.now = 3
            self.assertEqual([self.cache.get("a"), self.cache.get("b")], [None, 5])
        def test_missing(self):
            self.assertIsNone(self.cache.get("z"))
        """,
        old=Side(
            "4.2.4",
            """
            class Expiring(cachetools.Cache):
                until = {}

                def __setitem__(self, key, value):
                    super().__setitem__(key, value)
                    self.until[key] = timer() + value

                def __contains__(self, key):
                    return super().__contains__(key) and timer() < self.until[key]

            return Expiring(maxsize)
            """,
            ("AttributeError",),
            released="2021-09",
            calls=("timer",),
            doc="cachetools 4.2 has no cache with a time to live per item: derive one from Cache.",
        ),
        new=Side(
            "5.3.3",
            "return cachetools.TLRUCache(maxsize, ttu=lambda key, value, now: now + value, timer=timer)",
            released="2024-02",
            calls=("cachetools.TLRUCache",),
            doc="cachetools 5: TLRUCache(maxsize, ttu, timer) keeps each item until ttu(key, value, now); new.",
        ),
    ),
    Task(
        name="emptied",
        library="tinydb",
        change="name change",
        entity="TinyDB.purge_tables",
        docs="https://tinydb.readthedocs.io/en/latest/upgrade.html",
        statement="Remove all tables of a TinyDB and return it.",
        stub="import tinydb\n\ndef emptied(db: tinydb.TinyDB) -> tinydb.TinyDB:\n",
        visible="""
        from tinydb.storages import MemoryStorage
        assert len(emptied(tinydb.TinyDB(storage=MemoryStorage))) == 0
        """,
        methods="""
        def setUp(self):
            import tinydb
            from tinydb.storages import MemoryStorage
            self.db = tinydb.TinyDB(storage=MemoryStorage)
        def test_documents_go(self):
            self.db.insert({"a": 1})
            self.assertEqual(len(sample.emptied(self.db)), 0)
        def test_tables_go(self):
            self.db.table("other").insert({"a": 1})
            self.assertEqual(len(sample.emptied(self.db).table("other")), 0)
        def test_same_object(self):
            self.assertIs(sample.emptied(self.db), self.db)
        def test_usable_after(self):
            db = sample.emptied(self.db)
            db.insert({"b": 2})
            self.assertEqual(len(db), 1)
        """,
        old=Side(
            "3.15.2",
            "db.purge_tables()\nreturn db",
            ("AttributeError",),
            released="2019-12",
            calls=("db.purge_tables",),
            doc="TinyDB 3: purge_tables removes all tables.",
        ),
        new=Side(
            "4.8.0",
            "db.drop_tables()\nreturn db",
            ("AttributeError",),
            released="2023-06",
            calls=("db.drop_tables",),
            doc="TinyDB 4: drop_tables, formerly purge_tables, removes all tables.",
        ),
    ),
    Task(
        name="merged",
        library="more-itertools",
        change="deprecation",
        entity="more_itertools.collate",
        docs="https://more-itertools.readthedocs.io/en/stable/versions.html",
        statement="Merge sorted inputs into one sorted list; use more_itertools' function where there still is one.",
        stub="import more_itertools\n\ndef merged(*inputs: list[int]) -> list[int]:\n",
        visible="assert merged([1, 3], [2]) == [1, 2, 3]",
        methods="""
        def test_three(self):
            self.assertEqual(sample.merged([1, 9], [3], [2, 4]), [1, 2, 3, 4, 9])
        def test_empty(self):
            self.assertEqual(sample.merged([], [1]), [1])
        def test_equal_items(self):
            self.assertEqual(sample.merged([1, 1], [1]), [1, 1, 1])
        def test_nothing(self):
            self.assertEqual(sample.merged(), [])
        """,
        old=Side(
            "8.14.0",
            "return list(more_itertools.collate(*inputs))",
            released="2022-08",
            calls=("more_itertools.collate",),
            doc="more-itertools 8: collate merges sorted inputs, deprecated.",
        ),
        new=Side(
            "10.1.0",
            "import heapq\nreturn list(heapq.merge(*inputs))",
            ("AttributeError",),
            released="2023-08",
            calls=("heapq.merge",),
            doc="more-itertools 10: collate is gone; use heapq.merge.",
        ),
    ),
    Task(
        name="point-class",
        library="attrs",
        change="new feature",
        entity="attrs",
        docs="https://www.attrs.org/en/stable/names.html",
        statement="Return a class Point with attributes x and y, made by attrs under the newest name of its module.",
        stub="def point_class() -> type:\n",
        visible="assert point_class()(1, 2).y == 2",
        methods="""
        def test_values(self):
            point = sample.point_class()(3, 4)
            self.assertEqual((point.x, point.y), (3, 4))
        def test_equality(self):
            Point = sample.point_class()
            self.assertEqual(Point(1, 2), Point(1, 2))
        def test_name(self):
            self.assertEqual(sample.point_class().__name__, "Point")
        def test_too_few(self):
            with self.assertRaises(TypeError):
                sample.point_class()(1)
        """,
        old=Side(
            "20.3.0",
            'import attr\nreturn attr.make_class("Point", ["x", "y"])',
            ("ModuleNotFoundError",),
            released="2020-11",
            calls=("attr.make_class",),
            doc="attrs 20: the module is called attr.",
        ),
        new=Side(
            "23.2.0",
            'import attrs\nreturn attrs.make_class("Point", ["x", "y"])',
            released="2023-12",
            calls=("attrs.make_class",),
            doc="attrs 21.3 and later: the module attrs has the same functions as attr; new.",
        ),
    ),
)
