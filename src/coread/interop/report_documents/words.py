"""The words of a report document in English and Turkish."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# name -> (English, Turkish)
_WORDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "report": ("Radiology report", "Radyoloji raporu"),
        "results": ("Results of models", "Model sonuçları"),
        "research_use": (
            "Research use only. Not a medical device.",
            "Yalnızca araştırma amaçlıdır. Tıbbi cihaz değildir.",
        ),
        "simulated": ("SIMULATED: not a patient.", "SİMÜLASYON: hasta değildir."),
        "unread": (
            "Preliminary: not read by a person.",
            "Ön sonuç: bir kişi tarafından okunmamıştır.",
        ),
        "unsigned": (
            "Preliminary: taken from elsewhere, not signed here.",
            "Ön rapor: başka yerden alınmıştır, burada imzalanmamıştır.",
        ),
        "patient": ("Patient", "Hasta"),
        "patient_id": ("Patient ID", "Hasta no"),
        "birth_date": ("Date of birth", "Doğum tarihi"),
        "sex": ("Sex", "Cinsiyet"),
        "F": ("female", "kadın"),
        "M": ("male", "erkek"),
        "O": ("other", "diğer"),
        "study": ("Study", "İnceleme"),
        "study_time": ("Time of study", "İnceleme zamanı"),
        "accession": ("Accession number", "Erişim no"),
        "modality": ("Modality", "Modalite"),
        "exam": ("Exam", "İnceleme"),
        "indication": ("Indication", "Endikasyon"),
        "technique": ("Technique", "Teknik"),
        "comparison": ("Comparison", "Karşılaştırma"),
        "findings": ("Findings", "Bulgular"),
        "impression": ("Impression", "Sonuç"),
        "recommendations": ("Recommendations", "Öneriler"),
        "communication": ("Communication", "Bildirim"),
        "dose": ("Dose", "Doz"),
        "findings_table": ("Findings in detail", "Bulguların ayrıntıları"),
        "finding": ("Finding", "Bulgu"),
        "status": ("Status", "Durum"),
        "place": ("Place", "Yer"),
        "probability": ("Probability", "Olasılık"),
        "interval": ("Interval", "Güven aralığı"),
        "threshold": ("Threshold", "Eşik"),
        "calibrated": ("calibrated", "kalibre"),
        "not_calibrated": ("not calibrated", "kalibre değil"),
        "origin": ("From", "Kaynak"),
        "evidence": ("Evidence level", "Kanıt düzeyi"),
        "of_6": ("{level} of 6", "{level} / 6"),
        "present": ("present", "var"),
        "absent": ("absent", "yok"),
        "uncertain": ("uncertain", "belirsiz"),
        "historical": ("known from before", "önceden bilinen"),
        "no_opinion": ("no opinion", "görüş yok"),
        "new": ("new", "yeni"),
        "larger": ("larger", "büyümüş"),
        "smaller": ("smaller", "küçülmüş"),
        "unchanged": ("unchanged", "değişmemiş"),
        "resolved": ("resolved", "kaybolmuş"),
        "measurements": ("Measurements", "Ölçümler"),
        "measurement": ("Measurement", "Ölçüm"),
        "value": ("Value", "Değer"),
        "limits": ("Limits", "Sınırlar"),
        "decisions": ("Decisions on the models' findings", "Model bulguları hakkında kararlar"),
        "decision": ("Decision", "Karar"),
        "accept": ("accepted", "kabul edildi"),
        "modify": ("modified", "değiştirildi"),
        "reject": ("rejected", "reddedildi"),
        "reason": ("Reason", "Neden"),
        "artefact": ("artefact", "artefakt"),
        "anatomical_variant": ("anatomical variant", "anatomik varyant"),
        "known_prior": ("known from a prior study", "önceki incelemeden biliniyor"),
        "below_threshold": ("below threshold", "eşik altında"),
        "wrong_location": ("wrong location", "yanlış yer"),
        "other": ("other", "diğer"),
        "silence": ("Models without a result", "Sonuç vermeyen modeller"),
        "model": ("Model", "Model"),
        "key_images": ("Key images", "Anahtar görüntüler"),
        "slice": ("slice {number}", "kesit {number}"),
        "provenance": ("Where the results come from", "Sonuçların kaynağı"),
        "version": ("Version", "Sürüm"),
        "weights": ("SHA-256 of the weights", "Ağırlıkların SHA-256 özeti"),
        "inputs": ("Inputs", "Girdiler"),
        "time": ("Time", "Zaman"),
        "intended_use": ("Intended use", "Kullanım amacı"),
        "not_for": ("Not for", "Uygun olmadığı durum"),
        "reader": ("reader", "okuyan"),
        "accepted_by": ("accepted by {name}", "{name} kabul etti"),
        "template": ("template {name} {version}", "şablon {name} {version}"),
        "imported": ("from {name}", "kaynak: {name}"),
        "edited_by": ("changed by {name}", "{name} değiştirdi"),
        "signed": ("Signed by {name}, {time}", "{name} imzaladı, {time}"),
        "addendum": ("Addendum by {name}, {time}", "Ek rapor: {name}, {time}"),
        "other_person": ("about another person", "başka bir kişi hakkında"),
        "page": ("Page {number}", "Sayfa {number}"),
    }
)


def say(name: str, language: str, /, **gaps: object) -> str:
    """Return a text of the catalogue with its gaps filled.

    Examples:
        >>> say("slice", "tr", number=12)
        'kesit 12'
    """
    return _WORDS[name][language == "tr"].format(**gaps)


def known(name: str) -> bool:
    """Return whether the catalogue has a text."""
    return name in _WORDS
