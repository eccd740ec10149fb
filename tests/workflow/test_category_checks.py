"""Stated categories against the stated features; the expected ones are read from the published tables."""

from __future__ import annotations

import pytest

from coread.language import structure
from coread.workflow.category_checks import category_checks


def computed(text: str) -> list[str]:
    checks = category_checks(structure(text))
    assert all(text[w.start : w.end] == w.text for c in checks for w in c.words)
    return [c.facts["computed"] for c in checks]


FULL = "12 mm solid hypoechoic nodule in the right thyroid lobe, wider than tall, smooth margins. "
FULL_TR = "Tiroid sağ lobda 12 mm solid hipoekoik nodül izlendi. Düzgün sınırlı, eni boyundan büyük. "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Tessler 2017: solid 2, hypoechoic 2, nothing else: 4 points, TR4
        (FULL + "No echogenic foci. TI-RADS 2.", ["TR4"]),
        (FULL + "No echogenic foci. TI-RADS 4.", []),
        (FULL_TR + "Ekojenik odak izlenmedi. TI-RADS 5.", ["TR4"]),
        (FULL_TR + "Ekojenik odak izlenmedi. ACR TI-RADS TR4.", []),
        # two further points are open at least: 4 or more, up to TR5
        ("Solid hypoechoic nodule in the left thyroid lobe. TI-RADS 3.", ["TR4 / TR5"]),
        ("Solid hypoechoic nodule in the left thyroid lobe. TI-RADS 5.", []),
        ("Tiroid sol lobda solid hipoekoik nodül izlendi. TI-RADS 3.", ["TR4 / TR5"]),
        # a spongiform nodule has no points whatever else is said
        ("Spongiform nodule in the right thyroid lobe, 20 mm. TI-RADS 4.", ["TR1"]),
        ("SOL TİROİD LOBUNDA SÜNGERİMSİ NODÜL İZLENDİ. TI-RADS 3.", ["TR1"]),
        # solid 2, isoechoic 1, punctate foci 3
        (
            "Tiroid sağ lobda solid izoekoik nodül, punktat ekojenik odaklar içeriyor. TI-RADS 3.",
            ["TR4 / TR5"],
        ),
        # the impression repeats the nodule
        (
            "Findings: Solid hypoechoic thyroid nodule.\n\nImpression: Thyroid nodule, TI-RADS 2.",
            ["TR4 / TR5"],
        ),
        # nothing is stated, or nothing that is sure
        ("Nodule in the left thyroid lobe. TI-RADS 3.", []),
        ("Predominantly solid hypoechoic nodule in the left thyroid lobe. TI-RADS 2.", []),
        ("Possibly solid hypoechoic nodule in the left thyroid lobe. TI-RADS 2.", []),
        ("Solid nodule with isoechoic and hypoechoic areas. TI-RADS 1.", []),
        ("Thyroid parenchyma is hypoechoic. Spongiform nodule in the right lobe. TI-RADS 1.", []),
        # other systems of the thyroid, and categories that are not of this nodule today
        ("Spongiform nodule in the right thyroid lobe. EU-TIRADS 4.", []),
        ("Spongiform nodule in the right thyroid lobe. Kwak TI-RADS 4.", []),
        ("Spongiform nodule in the right thyroid lobe, previously TI-RADS 3.", []),
        ("Spongiform nodule in the right thyroid lobe, TI-RADS 3-4.", []),
        ("Klinik bilgi: TI-RADS 4 nodül.\n\nBulgular: Tiroid sağ lobda süngerimsi nodül.", []),
    ],
)
def test_thyroid(text: str, expected: list[str]) -> None:
    assert computed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Right lobe: solid hypoechoic nodule. TI-RADS 4. Left lobe: spongiform nodule. TI-RADS 3.", ["TR1"]),
        ("Right lobe: solid hypoechoic nodule. TI-RADS 4. Left lobe: spongiform nodule. TI-RADS 1.", []),
        (
            "Tiroid sağ lobda solid hipoekoik nodül izlendi, TI-RADS 2. "
            "Sol lobda süngerimsi nodül izlendi, TI-RADS 1.",
            ["TR4 / TR5"],
        ),
        # before or after its nodule: not to be told
        ("TI-RADS 4. Solid hypoechoic nodule on the right. TI-RADS 1. Spongiform nodule on the left.", []),
        ("Solid nodule in the right lobe, hypoechoic nodule in the left lobe. TI-RADS 1.", []),
        ("Solid hypoechoic nodule in the right lobe. A second, spongiform area on the left. TI-RADS 1.", []),
        ("Several thyroid nodules, the largest solid and hypoechoic. TI-RADS 1.", []),
    ],
)
def test_two_lesions(text: str, expected: list[str]) -> None:
    assert computed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # LI-RADS v2018: nonrim hyperenhancement, 20 mm and more, one further major feature: LR-5
        ("22 mm lesion in liver segment 8 with nonrim APHE and washout. LR-3.", ["LR-5"]),
        ("22 mm lesion in liver segment 8 with nonrim APHE and washout. LR-5.", []),
        ("Karaciğerde 22 mm lezyon, halka dışı arteriyel kontrastlanma ve yıkanma var. LR-3.", ["LR-5"]),
        ("Karaciğerde 22 mm lezyon, halka dışı arteriyel kontrastlanma ve yıkanma var. LI-RADS 5.", []),
        # below 10 mm no feature makes it LR-5
        ("8 mm observation in segment 6 with nonrim APHE and washout. LR-5.", ["LR-4"]),
        # 10 to 19 mm without a further major feature: LR-3
        ("15 mm observation, nonrim APHE. No washout. No capsule. No threshold growth. LR-5.", ["LR-3"]),
        (
            "15 mm lezyon, halka dışı arteriyel faz kontrastlanması mevcut. Washout izlenmedi. "
            "Kapsül izlenmedi. Eşik büyüme yok. LR-5.",
            ["LR-3"],
        ),
        # ancillary features may move it by one, though not to LR-5
        ("15 mm observation, nonrim APHE. No washout. No capsule. No threshold growth. LR-4.", []),
        ("22 mm lesion in liver segment 8 with nonrim APHE and washout. LR-4.", []),
        # open: the capsule, the kind of enhancement, the size, which of two
        ("15 mm observation with nonrim APHE and no washout. LR-5.", []),
        ("22 mm lesion with arterial phase hyperenhancement. LR-5.", []),
        ("Lesion in liver segment 8 with nonrim APHE and washout. LR-3.", []),
        ("22 mm lesion with nonrim APHE, possible washout. LR-3.", []),
        ("22 mm lesion with nonrim APHE. Washout: none. LR-3.", []),
        ("22 mm lesion with nonrim APHE, no washout, enhancing capsule present. LR-5.", []),
        ("22 mm lesion and 9 mm lesion with nonrim APHE and washout. LR-3.", []),
        ("22 mm lesion with nonrim APHE and washout. CEUS LR-3.", []),
        ("Observation in segment 8 with nonrim APHE and washout. Gallstone of 8 mm. LR-5.", []),
    ],
)
def test_liver(text: str, expected: list[str]) -> None:
    assert computed(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # CAD-RADS 2.0: 1-24 % 1, 25-49 % 2, 50-69 % 3, 70-99 % 4A, left main or three vessels 4B, occlusion 5
        ("Proximal LAD: 70% stenosis. RCA: 30% stenosis. CAD-RADS 3.", ["4A / 4B"]),
        ("Proximal LAD: 70% stenosis. RCA: 30% stenosis. CAD-RADS 4A/P2.", []),
        ("Proximal LAD: 70% stenosis. RCA: 30% stenosis. CAD-RADS 2.0: 4.", []),
        ("LAD proksimalde %70 darlık izlendi. CAD-RADS 2.", ["4A / 4B"]),
        ("LAD proksimalde %50-69 darlık izlendi. CAD-RADS 3.", []),
        ("Severe stenosis of the LAD. CAD-RADS 2.", ["4A / 4B"]),
        ("LAD'de hafif darlık. CAD-RADS 3.", ["2"]),
        ("LAD'de hafif darlık. CAD-RADS 2.", []),
        ("Mild to moderate stenosis of the LAD. CAD-RADS 3.", []),
        ("Total occlusion of the RCA. CAD-RADS 4A.", ["5"]),
        ("Moderate stenosis of the left main. CAD-RADS 4B.", []),
        ("Sol ana koroner arterde %60 darlık. CAD-RADS 2.", ["3 / 4B"]),
        # another amount may be the worst one
        ("Mild stenosis of the LAD. RCA: 60%. CAD-RADS 3.", []),
        ("Mild stenosis of the LAD. Severe plaque in the RCA. CAD-RADS 4A.", []),
        ("Mild stenosis of the LAD. Stent in the RCA with stenosis of 80%. CAD-RADS 4A.", []),
        # not of the coronary arteries, not today, not sure, or denied
        ("80% stenosis of the carotid artery. CAD-RADS 0.", []),
        ("80% stenosis of the LAD on the prior examination. CAD-RADS 2.", []),
        ("Possible 80% stenosis of the LAD. CAD-RADS 2.", []),
        ("Indication: 80% stenosis.\n\nFindings: Mild stenosis of the LAD.\n\nImpression: CAD-RADS 2.", []),
        ("Known 80% stenosis at catheterisation. Mild stenosis of the LAD. CAD-RADS 2.", []),
        ("No stenosis of more than 50%. CAD-RADS 2.", []),
        ("Less than 25% stenosis of the LAD. CAD-RADS 1.", []),
        ("40 to 60% stenosis of the LAD. CAD-RADS 2.", []),
        ("40 to 60% stenosis of the LAD. CAD-RADS 4A.", ["2 / 3"]),
        ("LAD'de %40 ile %60 arasında darlık. CAD-RADS 2.", []),
        ("Approximately 50% stenosis of the LAD. CAD-RADS 2.", []),
        ("LAD'de %25'ten az darlık. CAD-RADS 1.", []),
        ("LAD'de %50'lik darlık. CAD-RADS 1.", ["3"]),
        ("Plaque in the LAD, no stenosis. CAD-RADS 1.", []),
        ("No stenosis is quantified. CAD-RADS 3.", []),
    ],
)
def test_coronary_arteries(text: str, expected: list[str]) -> None:
    assert computed(text) == expected


def test_a_difference_is_explained_by_the_words_and_the_row_of_the_guideline() -> None:
    (check,) = category_checks(structure("8 mm observation with nonrim APHE and washout. LR-5."))
    assert check.text == (
        "the text says LR-5, the stated features make LR-4 "
        "(nonrim APHE, washout, 8 mm: nonrim enhancement, <10 mm, washout)"
    )
    (check,) = category_checks(structure("LAD'de hafif darlık, sirkumfleks normal. CAD-RADS 3."))
    assert check.said("tr") == (
        "metin CAD-RADS 3 diyor, yazılan özellikler 2 veriyor (hafif darlık: 25-49 %)"
    )
