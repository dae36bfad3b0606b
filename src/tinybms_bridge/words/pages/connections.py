"""Words of the page ``settings``, section ``connections``: MQTT, notifications and whom else the bridge tells."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {
    "intro": (
        "Whom the bridge tells of the battery, beside the GX. Nothing that goes wrong here touches charging and discharging; what does not work is tried again by itself.",
        "À qui le pont parle de la batterie, en plus du GX. Aucun ennui ici ne touche la charge ni la décharge ; ce qui ne fonctionne pas est réessayé tout seul.",
    ),
    "none": ("This version has no connections.", "Cette version n’a pas de connexions."),
    "condition_off": ("off", "à l’arrêt"),
    "condition_starting": ("starting", "démarre"),
    "condition_working": ("works", "fonctionne"),
    "condition_trouble": ("does not work", "ne fonctionne pas"),
    "what_mqtt": (
        "Publishes the battery and each pack at an MQTT broker, and announces them to Home Assistant where that is wanted.",
        "Publie la batterie et chaque pack sur un serveur MQTT, et les annonce à Home Assistant si vous le voulez.",
    ),
    "gives_mqtt": (
        "Switched on, it shows the battery in Home Assistant by itself, and in Node-RED or whatever else speaks MQTT.",
        "Activé, il montre la batterie dans Home Assistant sans autre réglage, et dans Node-RED ou tout ce qui parle MQTT.",
    ),
    "what_notifications": (
        "Tells people and other systems of alarms: by e-mail, as push messages (ntfy), or by a webhook.",
        "Signale les alarmes aux gens et à d’autres systèmes : par courriel, en messages push (ntfy) ou par webhook.",
    ),
    "gives_notifications": (
        "Switched on, your phone or mailbox is told as soon as something is wrong with the battery, and when it is over.",
        "Activées, elles préviennent votre téléphone ou votre boîte aux lettres dès que la batterie a un ennui, et quand il est passé.",
    ),
    "what_mdns": (
        "Announces these pages in the local network by a name, so that nobody has to know the address of the bridge.",
        "Annonce ces pages par un nom dans le réseau local : personne n’a besoin de connaître l’adresse du pont.",
    ),
    "gives_mdns": (
        "Switched on, these pages open by a name such as tinybms-bridge.local. It needs a web server that is reached from the network.",
        "Activé, ces pages s’ouvrent par un nom comme tinybms-bridge.local. Il faut un serveur web joignable depuis le réseau.",
    ),
    "what_metrics": (
        "Serves the values of the battery to Prometheus; a board for Grafana and alert rules come with the bridge.",
        "Fournit les valeurs de la batterie à Prometheus ; un tableau Grafana et des règles d’alerte sont livrés avec le pont.",
    ),
    "gives_metrics": (
        "Switched on, Prometheus reads the battery at /metrics, and a ready board shows it in Grafana.",
        "Activées, Prometheus lit la batterie sur /metrics, et un tableau tout prêt la montre dans Grafana.",
    ),
    "since": ("since {time}", "depuis {time}"),
    "where": ("Where", "Où"),
    "why_not": ("Why:", "Pourquoi :"),
    "last_error": ("Last error, {time}", "Dernière erreur, {time}"),
    "counter_published": ("Published", "Publiés"),
    "counter_replayed": ("Sent later", "Envoyés plus tard"),
    "counter_kept_bytes": ("Kept for later", "Gardé pour plus tard"),
    "counter_dropped": ("Dropped", "Abandonnés"),
    "counter_commands": ("Commands carried out", "Commandes exécutées"),
    "counter_commands_refused": ("Commands refused", "Commandes refusées"),
    "counter_commands_too_many": ("Commands beyond the limit", "Commandes en surnombre"),
    "counter_sent": ("Sent", "Envoyées"),
    "counter_failed": ("Failed attempts", "Essais manqués"),
    "counter_refused": ("Refused", "Refusés"),
    "counter_not_saved": ("Not saved on the disk", "Non gardées sur le disque"),
    "counter_scrapes": ("Times read", "Lectures"),
    "counter_conflicts": ("Names taken by others", "Noms pris par d’autres"),
    "counter_send_errors": ("Packets not sent", "Paquets non envoyés"),
    "kilobytes": ("kB", "ko"),
    "megabytes": ("MB", "Mo"),
    "try": ("Try it", "Essayer"),
    "try_notifications": ("Send a test notification", "Envoyer une notification d’essai"),
    "try_name": ("{what}: {name}", "{what} : {name}"),
    "trying": ("Trying; this may take some seconds …", "Essai en cours, quelques secondes …"),
    "tried_well": ("It works: {text}", "Cela fonctionne : {text}"),
    "tried_badly": ("It failed: {text}", "Échec : {text}"),
    "to_settings": ("Settings", "Réglages"),
    "to_settings_of": ("Settings: {name}", "Réglages : {name}"),
    "switch_on": ("Switch it on in the settings", "L’activer dans les réglages"),
    "switch_on_of": ("Switch it on in the settings: {name}", "L’activer dans les réglages : {name}"),
}
