"""Les clés de la configuration en français : titre et explication de chacune ; les sections par leur description.

L'anglais est auprès de chaque clé, dans ``config/models``.
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["KEYS", "SECTIONS"]

SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "": "Tous les réglages du pont ; les valeurs par défaut suffisent à elles seules.",
        "wifi": "Réseau sans fil.",
        "wifi.ap_fallback": "Le point d'accès que le pont ouvre quand il ne peut rejoindre aucun réseau.",
        "hardware": "Ports de la machine.",
        "hardware.uart": "Ligne série vers le TinyBMS.",
        "hardware.can": "Adaptateur CAN vers le GX.",
        "packs.*": "Un pack : un TinyBMS avec ses cellules, sur un port à lui.",
        "packs.*.uart": "Ligne série vers le BMS du pack.",
        "battery": "Plusieurs packs en une seule batterie ; sans effet tant qu'il n'y en a qu'un.",
        "tinybms": "Lecture du BMS.",
        "victron": "La batterie telle que la voit le GX.",
        "victron.thresholds": "Seuils des alarmes et des avertissements.",
        "cvl": "Phases de charge, protection des cellules et tensions.",
        "cvl.curves": "Réduction des courants ; null = selon les réglages du BMS lui-même.",
        "mqtt": "Serveur MQTT et sujets.",
        "mqtt.home_assistant": "La batterie comme appareil de Home Assistant, par sa découverte MQTT.",
        "metrics": "Métriques pour Prometheus.",
        "notifications": "Messages sur les alarmes, aux personnes et à d'autres systèmes.",
        "notifications.webhook": "Une requête (POST) avec un objet JSON à une adresse à vous, pour Home Assistant, Node-RED, une messagerie ou un script.",
        "notifications.ntfy": "Messages poussés sur téléphones et ordinateurs par un serveur ntfy, public ou à vous.",
        "notifications.email": "Courriels par un serveur de messagerie (SMTP).",
        "mdns": "Nom dans le réseau local.",
        "web_server": "Serveur web et données en direct.",
        "logging": "Niveau, contenu et destinations du journal.",
        "advanced": "Chien de garde, fichiers et historique.",
    }
)
"""Description d'une section, par son chemin."""

KEYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "wifi.mode": (
            "Rôle Wi-Fi",
            "Rejoindre un réseau (sta), être un point d'accès (ap), ou les deux.",
        ),
        "wifi.sta_ssid": (
            "Nom du réseau",
            "Nom du réseau à rejoindre ; vide, le Wi-Fi reste comme le système l'a.",
        ),
        "wifi.sta_password": (
            "Mot de passe du réseau",
            "Mot de passe du réseau à rejoindre.",
        ),
        "wifi.sta_hostname": (
            "Nom de la machine",
            "Nom sur le réseau, par câble aussi : avec `mdns.enabled`, celui de `http://NOM.local`.",
        ),
        "wifi.sta_ip_mode": (
            "Choix de l'adresse",
            "Prendre l'adresse que donne le réseau (dhcp) ou celle qui suit (static).",
        ),
        "wifi.sta_static_ip": (
            "Adresse",
            "Adresse de la machine quand elle est fixe.",
        ),
        "wifi.sta_gateway": (
            "Passerelle",
            "Adresse du routeur quand l'adresse est fixe.",
        ),
        "wifi.sta_subnet": (
            "Masque de réseau",
            "Masque de réseau quand l'adresse est fixe.",
        ),
        "wifi.ap_fallback.enabled": (
            "Point d'accès de secours",
            "Ouvrir un point d'accès quand le réseau reste hors d'atteinte ; désactivé par défaut, car aucun mot de passe n'est publié.",
        ),
        "wifi.ap_fallback.ssid": (
            "Nom du point d'accès",
            "Nom du point d'accès.",
        ),
        "wifi.ap_fallback.password": (
            "Mot de passe du point d'accès",
            "Mot de passe du point d'accès, nécessaire pour en ouvrir un.",
        ),
        "wifi.ap_fallback.channel": (
            "Canal du point d'accès",
            "Canal du point d'accès dans la bande de 2,4 GHz.",
        ),
        "hardware.uart.device": (
            "Port série",
            'Chemin du port série, ou "auto" pour chercher le BMS.',
        ),
        "hardware.uart.rx_pin": (
            "Broche RX",
            "Broche de réception du micrologiciel.",
        ),
        "hardware.uart.tx_pin": (
            "Broche TX",
            "Broche d'émission du micrologiciel.",
        ),
        "hardware.uart.baudrate": (
            "Vitesse de la ligne",
            "Vitesse de la ligne série, fixée par le fabricant ; 9600, 19200 (le README), 38400 et 57600 sont lus comme elle.",
        ),
        "hardware.uart.timeout_ms": (
            "Attente d'une réponse",
            "Plus longue attente d'une réponse ; les 100 du README sont courts pour un adaptateur USB, les 1000 du micrologiciel retardent les nouveaux essais.",
        ),
        "hardware.can.interface": (
            "Interface CAN",
            "Sorte d'adaptateur, comme la nomme python-can.",
        ),
        "hardware.can.channel": (
            "Canal CAN",
            "Interface réseau, port série ou numéro de l'adaptateur ; vide = sa valeur par défaut (can0 pour socketcan).",
        ),
        "hardware.can.options": (
            "Options CAN",
            "Autres options de l'adaptateur, comme les nomme python-can ; toutes ne valent pas pour socketcan.",
        ),
        "hardware.can.tx_pin": (
            "Broche TX",
            "Broche d'émission du micrologiciel.",
        ),
        "hardware.can.rx_pin": (
            "Broche RX",
            "Broche de réception du micrologiciel.",
        ),
        "hardware.can.bitrate": (
            "Débit CAN",
            "Vitesse du bus ; Victron préfère 500000 et a 250000 sur quelques ports.",
        ),
        "hardware.can.mode": (
            "Mode CAN",
            "Utiliser le bus tel qu'il est ou, pour un essai, recevoir aussi ses propres trames (loopback).",
        ),
        "hardware.can.termination": (
            "Terminaison CAN",
            "Terminer le bus du côté du pont.",
        ),
        "packs": (
            "Packs",
            "Les packs par leur nom, 16 au plus ; sans aucun il y en a un, `main`, sur `hardware.uart`.",
        ),
        "packs.*.uart.device": (
            "Port série",
            'Chemin du port série ; "auto" cherche le BMS, ce que ne peut qu\'un seul pack.',
        ),
        "packs.*.uart.timeout_ms": (
            "Délai de réponse",
            "Attente la plus longue d'une réponse ; null = `hardware.uart.timeout_ms`.",
        ),
        "packs.*.enabled": (
            "En service",
            "Lire le pack et le compter dans la batterie ; false le met hors service.",
        ),
        "packs.*.serial_number": (
            "Numéro de série",
            "Numéro de série que doit avoir le BMS de ce pack ; vide, celui qui répond sur le port convient.",
        ),
        "battery.packs_missing": (
            "Quand un pack se tait",
            "Continuer avec prudence avec les autres (go_on), ou arrêter comme avec un seul pack qui se tait (stop).",
        ),
        "battery.join_delta_v": (
            "Écart pour rejoindre",
            "Un pack dont la tension est plus loin de celle des autres démarre avec prudence ; null = 0,05 V par cellule.",
        ),
        "tinybms.poll_interval_ms": (
            "Intervalle de lecture",
            "Temps entre deux lectures au début ; le BMS renouvelle ses données toutes les 100 ms.",
        ),
        "tinybms.poll_interval_min_ms": (
            "Intervalle le plus court",
            "Temps le plus court entre deux lectures ; le README dit 100, les 50 du micrologiciel lisent deux fois les mêmes données.",
        ),
        "tinybms.poll_interval_max_ms": (
            "Intervalle le plus long",
            "Temps le plus long entre deux lectures après des échecs (README : 1000).",
        ),
        "tinybms.poll_backoff_step_ms": (
            "Pas de ralentissement",
            "Ajouté à l'intervalle quand la ligne est lente ou échoue.",
        ),
        "tinybms.poll_recovery_step_ms": (
            "Pas de rétablissement",
            "Ôté de l'intervalle quand la ligne est de nouveau rapide.",
        ),
        "tinybms.poll_latency_target_ms": (
            "Latence visée",
            "Temps voulu de la demande à la réponse.",
        ),
        "tinybms.poll_latency_slack_ms": (
            "Tolérance de latence",
            "Toléré au-dessus de la latence visée.",
        ),
        "tinybms.poll_failure_threshold": (
            "Échecs avant ralentissement",
            "Lectures manquées de suite avant que l'intervalle s'allonge.",
        ),
        "tinybms.poll_success_threshold": (
            "Succès avant accélération",
            "Lectures réussies de suite avant que l'intervalle se raccourcisse.",
        ),
        "tinybms.uart_retry_count": (
            "Essais",
            "Essais pour une demande, le premier compris.",
        ),
        "tinybms.uart_retry_delay_ms": (
            "Pause entre les essais",
            "Pause entre deux essais ; 100 comme dans le fichier du micrologiciel, et non les 50 de son code.",
        ),
        "tinybms.write_soc": (
            "Écrire l'état de charge",
            "Met le compte du BMS (registre 328) à celui du pont quand ils s'écartent de 2 %, une fois par jour au plus.",
        ),
        "tinybms.broadcast_expected": (
            "Diffusion attendue",
            "Le BMS envoie du texte de lui-même.",
        ),
        "victron.pgn_update_interval_ms": (
            "Période des trames",
            "Temps entre deux salves de trames ; un GX abandonne le BMS après 3000.",
        ),
        "victron.cvl_update_interval_ms": (
            "Période de la CVL",
            "Temps le plus court entre deux hausses de la limite de tension de charge.",
        ),
        "victron.keepalive_interval_ms": (
            "Période du signe de vie",
            "Période du 0x305 propre au micrologiciel.",
        ),
        "victron.keepalive_timeout_ms": (
            "Délai du signe de vie",
            "Silence du GX avant qu'il soit signalé comme perdu.",
        ),
        "victron.manufacturer_name": (
            "Fabricant",
            "Fabricant dans la trame 0x35E, avec send_manufacturer ou pour une batterie sans nom.",
        ),
        "victron.battery_name": (
            "Nom de la batterie",
            "Nom dans les trames 0x370 et 0x371 ; les noms du micrologiciel disent 16 cellules, ce que tout pack n'a pas.",
        ),
        "victron.send_manufacturer": (
            "Envoyer le fabricant",
            "Envoyer le fabricant dans 0x35E à côté d'un long nom de batterie ; le document de Victron veut le même texte dans les deux.",
        ),
        "victron.family_name": (
            "Nom de la famille",
            "Famille de la batterie dans la trame 0x382.",
        ),
        "victron.battery_model_id": (
            "Numéro de modèle",
            "Modèle de la batterie dans la trame 0x35F.",
        ),
        "victron.send_discharge_voltage": (
            "Envoyer la tension de décharge",
            "Ajouter la tension de batterie basse à la trame 0x351, comme la lisent les GX récents.",
        ),
        "victron.system_status": (
            "État du système",
            "Bits d'état de 0x35A : 0 signifie non pris en charge ; Victron ne donne pas le sens de 1 et 2.",
        ),
        "victron.installed_capacity_bytes": (
            "Longueur de 0x379",
            "Octets de la trame de capacité : 2 comme chez Victron, ou 8 avec des zéros pour les lecteurs qu'une trame courte fait échouer.",
        ),
        "victron.max_charge_current_a": (
            "Courant de charge maximal",
            "Ne jamais demander plus ; null = une part de la coupure du BMS.",
        ),
        "victron.max_discharge_current_a": (
            "Courant de décharge maximal",
            "Ne jamais permettre plus ; null = une part de la coupure du BMS.",
        ),
        "victron.current_fraction": (
            "Part de la coupure",
            "Part de la coupure de surintensité du BMS, là où aucun maximum n'est donné.",
        ),
        "victron.fresh_timeout_s": (
            "Fraîcheur",
            "Temps sans bonne mesure après lequel la charge est arrêtée ; un GX attend 3.",
        ),
        "victron.stale_hold_s": (
            "Maintien",
            "Temps sans charge, après lequel le pont se tait et le GX arrête tout.",
        ),
        "victron.start_samples": (
            "Mesures au départ",
            "Bonnes mesures de suite avant la première trame.",
        ),
        "victron.return_samples": (
            "Mesures au retour",
            "Bonnes mesures de suite qui mettent fin à un silence.",
        ),
        "victron.thresholds.undervoltage_v": (
            "Tension basse",
            "Tension du pack pour l'alarme de tension basse, en plus de celle des cellules ; null = cellules seules (le README montre 42.0 pour 16).",
        ),
        "victron.thresholds.overvoltage_v": (
            "Tension haute",
            "Tension du pack pour l'alarme de tension haute, en plus de celle des cellules ; borne aussi la tension de charge ; null = cellules seules.",
        ),
        "victron.thresholds.overtemp_c": (
            "Température haute",
            "Température de l'alarme ; null = selon le BMS.",
        ),
        "victron.thresholds.low_temp_charge_c": (
            "Trop froid pour charger",
            "Température sous laquelle charger donne une alarme ; null = selon le BMS.",
        ),
        "victron.thresholds.imbalance_warn_mv": (
            "Avertissement de déséquilibre",
            "Écart des cellules qui donne un avertissement ; null = le double du registre 308 du BMS, mais au moins 100 mV.",
        ),
        "victron.thresholds.imbalance_alarm_mv": (
            "Alarme de déséquilibre",
            "Écart des cellules qui donne une alarme ; null = le double de l'avertissement.",
        ),
        "victron.thresholds.soc_low_percent": (
            "SOC bas",
            "État de charge auquel, et sous lequel, un avertissement est donné.",
        ),
        "victron.thresholds.soc_high_percent": (
            "SOC haut",
            "État de charge auquel, et au-dessus duquel, un avertissement est donné.",
        ),
        "victron.thresholds.derate_current_a": (
            "Courant réduit",
            "Une limite de courant à cette valeur ou dessous compte comme réduite et donne un avertissement.",
        ),
        "cvl.enabled": (
            "Phases de charge",
            "Utiliser les phases de charge ; sans elles, la tension de bulk, les protections restant actives.",
        ),
        "cvl.chemistry": (
            "Chimie",
            "Chimie des cellules ; auto = reconnue aux réglages du BMS lui-même.",
        ),
        "cvl.series_cell_count": (
            "Cellules en série",
            "Nombre de cellules en série ; null = selon le BMS (registre 307).",
        ),
        "cvl.charge_defaults": (
            "Valeurs de charge",
            "Valeurs qui ne sont pas données ; before = celles des versions précédentes, autour du registre 300.",
        ),
        "cvl.bulk_voltage_v": (
            "Tension de bulk",
            "Cible de charge du pack ; null = selon la chimie, au plus le registre 300 × les cellules.",
        ),
        "cvl.bulk_soc_threshold": (
            "Fin du bulk",
            "État de charge auquel TRANSITION commence (README 80, micrologiciel 90).",
        ),
        "cvl.transition_soc_threshold": (
            "Fin de la transition",
            "État de charge auquel FLOAT_APPROACH commence (README 85, micrologiciel 95).",
        ),
        "cvl.float_soc_threshold": (
            "Début du float",
            "SOC auquel FLOAT commence (README 95) ; null = quand la batterie est pleine.",
        ),
        "cvl.float_exit_soc": (
            "Fin du float",
            "SOC sous lequel FLOAT se termine (README 92) ; null = selon la tension des cellules.",
        ),
        "cvl.soc_hysteresis_percent": (
            "Hystérésis du SOC",
            "De combien, sous son seuil, une phase de charge est gardée.",
        ),
        "cvl.float_approach_offset_mv": (
            "Écart avant le float",
            "Tension du pack sous la cible pendant FLOAT_APPROACH.",
        ),
        "cvl.float_offset_mv": (
            "Écart pendant le float",
            "Tension du pack sous la cible pendant FLOAT (README 100) ; null = selon la chimie.",
        ),
        "cvl.maximum_ccl_in_float_a": (
            "Courant de charge en float",
            "Courant de charge maximal pendant FLOAT et IMBALANCE_HOLD ; 0 = sans maximum ; null = ce que demande l'équilibrage.",
        ),
        "cvl.keep_lost_sensor": (
            "Garder les sondes perdues",
            "Une sonde externe perdue limite la charge par sa dernière mesure ; sinon elle compte comme ôtée pour de bon.",
        ),
        "cvl.imbalance_hold_threshold_mv": (
            "Début d'un maintien",
            "Écart des cellules au-dessus duquel un maintien commence (micrologiciel 100).",
        ),
        "cvl.imbalance_release_threshold_mv": (
            "Fin d'un maintien",
            "Écart des cellules auquel un maintien se termine (micrologiciel 30 ou 50).",
        ),
        "cvl.imbalance_hold_max_s": (
            "Maintien le plus long",
            "Un maintien se termine après ce temps, même si les cellules s'écartent encore.",
        ),
        "cvl.imbalance_min_cell_voltage_v": (
            "Maintien seulement au-dessus",
            "Un maintien ne commence qu'avec une cellule au-dessus de cette tension ; null = près de la pleine charge.",
        ),
        "cvl.imbalance_drop_per_mv": (
            "Baisse par mV",
            "Tension de charge ôtée pour chaque mV au-dessus du début d'un maintien.",
        ),
        "cvl.imbalance_drop_max_v": (
            "Baisse la plus grande",
            "Plus grande réduction de la tension de charge par un maintien.",
        ),
        "cvl.over_voltage_margin_v": (
            "Marge avant la surtension",
            "Gardée entre CVL + 0,4 V et la coupure de surtension du pack.",
        ),
        "cvl.cell_max_voltage_v": (
            "Tension de cellule maximale",
            "La limite de charge ne la dépasse jamais, par cellule ; null = selon la chimie.",
        ),
        "cvl.cell_safety_threshold_v": (
            "Début de la protection",
            "Tension de cellule à laquelle la protection commence ; null = selon la chimie.",
        ),
        "cvl.cell_safety_release_v": (
            "Fin de la protection",
            "Tension de cellule à laquelle la protection se termine ; null = selon la chimie.",
        ),
        "cvl.floor_cell_voltage_v": (
            "CVL la plus basse par cellule",
            "La limite de tension de charge n'est jamais dessous ; null = selon la chimie.",
        ),
        "cvl.resting_cell_voltage_v": (
            "Tension de repos par cellule",
            "Limite de tension de charge tant que les données sont anciennes ; null = selon la chimie.",
        ),
        "cvl.cell_protection_kp": (
            "Gain de la protection",
            "Volts du pack ôtés par volt de cellule au-dessus du début de la protection.",
        ),
        "cvl.dynamic_current_nominal_a": (
            "Courant nominal",
            "Courant de charge qui double le gain de la protection.",
        ),
        "cvl.max_recovery_step_v": (
            "Pas de remontée",
            "Plus grande hausse de la tension de charge par période de la CVL ; 0 = sans limite ; null = 0,4 V pour 16 cellules.",
        ),
        "cvl.protection_relearn_s": (
            "Nouvel essai après",
            "Temps après lequel une tension de charge qui était trop haute est essayée de nouveau.",
        ),
        "cvl.current_rise_s": (
            "Montée des courants",
            "Temps dans lequel CCL et DCL montent de 0 à leur base ; 0 = d'un coup.",
        ),
        "cvl.curves.charge_by_cell_voltage": (
            "Charge selon la tension de cellule",
            "Part du courant de charge ; null = zéro sous le registre 315.",
        ),
        "cvl.curves.discharge_by_cell_voltage": (
            "Décharge selon la tension de cellule",
            "Part du courant de décharge ; null = selon la seule résistance des cellules.",
        ),
        "cvl.curves.charge_by_temperature": (
            "Charge selon la température",
            "Part du courant de charge ; null = entre les registres 320 et 319.",
        ),
        "cvl.curves.discharge_by_temperature": (
            "Décharge selon la température",
            "Part du courant de décharge ; null = de -40 °C au registre 319.",
        ),
        "cvl.curves.charge_by_soc": (
            "Charge selon le SOC",
            "Part du courant de charge ; null = 1.",
        ),
        "cvl.curves.discharge_by_soc": (
            "Décharge selon le SOC",
            "Part du courant de décharge ; null = 1.",
        ),
        "cvl.soc_source": (
            "État de charge",
            "De qui est le compte : bridge = compté d'après le courant et recalé à la pleine charge, bms = comme le dit le BMS.",
        ),
        "cvl.profile": (
            "Profil de charge",
            "Comment charger ; storage = à moitié environ, full_once = une fois pleine, puis normal.",
        ),
        "cvl.soc_max_percent": (
            "SOC maximal",
            "La charge se termine à ce SOC ; 100 = sans borne.",
        ),
        "cvl.soc_min_percent": (
            "SOC minimal",
            "La décharge se termine à ce SOC et, sans réseau, l'onduleur avec elle ; 0 = là où le BMS coupe.",
        ),
        "cvl.soc_window_hysteresis_percent": (
            "Hystérésis des bornes de SOC",
            "De combien le SOC doit revenir avant qu'une borne soit levée.",
        ),
        "cvl.storage_soc_percent": (
            "SOC de stockage",
            "Où le profil storage garde la batterie.",
        ),
        "cvl.full_charge_interval_days": (
            "Pleine charge tous les",
            "Le SOC maximal est laissé de côté ce temps après une pleine charge ; 0 = jamais.",
        ),
        "cvl.balance_at_full_voltage": (
            "Équilibrer au registre 300",
            "Mener la cellule la plus haute au registre 300 les jours d'équilibrage ; seulement en double port, avec le registre 329 bit 2 et sans injection.",
        ),
        "cvl.force_charge_start_percent": (
            "Charge forcée à",
            "SOC auquel le pont demande une charge ; 0 = jamais.",
        ),
        "cvl.force_charge_stop_percent": (
            "Charge forcée jusqu'à",
            "SOC auquel il cesse de la demander.",
        ),
        "cvl.sustain_soc_entry_percent": (
            "Début de sustain",
            "SOC auquel SUSTAIN commence si la cellule la plus basse le confirme ; 0 avec une fin de 0 = jamais.",
        ),
        "cvl.sustain_soc_exit_percent": (
            "Fin de sustain",
            "SOC auquel SUSTAIN se termine si la cellule la plus basse n'y a pas mis fin avant.",
        ),
        "cvl.sustain_voltage_v": (
            "Tension de sustain",
            "Du pack pendant SUSTAIN, au moins celle de repos ; 0 = d'après la valeur par cellule.",
        ),
        "cvl.sustain_per_cell_voltage_v": (
            "Tension de sustain par cellule",
            "Pendant SUSTAIN, au moins celle de repos ; null = la cible.",
        ),
        "cvl.sustain_ccl_limit_a": (
            "Courant de charge en sustain",
            "Courant de charge maximal pendant SUSTAIN ; null = 0,1C, au moins 5 A.",
        ),
        "cvl.sustain_dcl_limit_a": (
            "Courant de décharge en sustain",
            "Courant de décharge maximal pendant SUSTAIN.",
        ),
        "mdns.enabled": (
            "Nom dans le réseau",
            "Dire au réseau local où est le serveur web : `http://NOM.local`, où NOM est `wifi.sta_hostname`.",
        ),
        "mqtt.enabled": (
            "MQTT",
            "Publier vers un serveur MQTT.",
        ),
        "mqtt.uri": (
            "Serveur",
            "Adresse du serveur ; mqtts:// chiffre la liaison.",
        ),
        "mqtt.further_uris": (
            "Autres serveurs",
            "Adresses à essayer tour à tour quand le serveur n'est pas joint, par exemple les autres nœuds d'une grappe.",
        ),
        "mqtt.port": (
            "Port",
            "Port du serveur ; un port dans l'adresse l'emporte.",
        ),
        "mqtt.client_id": (
            "Nom de client",
            "Nom du pont auprès du serveur.",
        ),
        "mqtt.username": (
            "Nom d'utilisateur",
            "Nom d'utilisateur auprès du serveur ; vide s'il n'en faut pas.",
        ),
        "mqtt.password": (
            "Mot de passe",
            "Mot de passe auprès du serveur ; vide s'il n'en faut pas.",
        ),
        "mqtt.root_topic": (
            "Sujet racine",
            "Sujet sous lequel tout est publié.",
        ),
        "mqtt.clean_session": (
            "Session neuve",
            "Commencer chaque liaison sans session gardée.",
        ),
        "mqtt.use_tls": (
            "TLS",
            "Chiffrer la liaison au serveur.",
        ),
        "mqtt.server_certificate": (
            "Certificat du serveur",
            "Autorité de certification du serveur, en texte PEM ; vide prend celles du système.",
        ),
        "mqtt.client_certificate": (
            "Certificat du pont",
            "Certificat du pont en texte PEM, pour les serveurs qui en demandent un ; vide s'il n'en faut pas.",
        ),
        "mqtt.client_key": (
            "Clé du pont",
            "Clé privée de `client_certificate` en texte PEM, sans mot de passe.",
        ),
        "mqtt.keepalive_seconds": (
            "Signe de vie",
            "Plus long silence avant un ping.",
        ),
        "mqtt.reconnect_interval_ms": (
            "Intervalle de reconnexion",
            "Temps le plus court entre deux essais de connexion.",
        ),
        "mqtt.default_qos": (
            "Qualité de service",
            "0 une fois au plus, 1 une fois au moins, 2 une fois exactement.",
        ),
        "mqtt.retain_by_default": (
            "Conserver",
            "Demander au serveur de garder la dernière valeur de chaque sujet.",
        ),
        "mqtt.publish_interval_ms": (
            "Intervalle",
            "Temps entre deux états ; alarmes et événements partent aussitôt.",
        ),
        "mqtt.value_topics": (
            "Un sujet par valeur",
            "Publier aussi chaque valeur de la batterie et des packs à part, quand elle change.",
        ),
        "mqtt.firmware_topics": (
            "Sujets du firmware",
            "Publier aussi les sujets du firmware TinyBMS-Victron, avec `dbus_path`.",
        ),
        "mqtt.spool_mb": (
            "Gardé pour plus tard",
            "États et événements gardés sur le disque tant qu'aucun serveur n'est là ; 0 = rien.",
        ),
        "mqtt.commands": (
            "Commandes",
            "Laisser qui peut publier sur le serveur arrêter, libérer, choisir le profil et le niveau du journal.",
        ),
        "mqtt.home_assistant.enabled": (
            "Home Assistant",
            "Annoncer la batterie et chaque pack à Home Assistant.",
        ),
        "mqtt.home_assistant.discovery_prefix": (
            "Préfixe de découverte",
            "Sujet sous lequel Home Assistant cherche les appareils, comme il y est réglé.",
        ),
        "mqtt.home_assistant.language": (
            "Langue",
            "Langue des noms dans Home Assistant : anglais ou français.",
        ),
        "metrics.enabled": (
            "Métriques",
            "Servir `/metrics` à Prometheus sur le port du serveur web ; sans lui, rien n'est servi.",
        ),
        "metrics.token": (
            "Jeton",
            "Jeton (« bearer ») du serveur Prometheus ; vide, seuls les programmes de cette machine et les comptes du pont peuvent lire.",
        ),
        "notifications.enabled": (
            "Notifications",
            "Signaler les alarmes par les voies qui suivent.",
        ),
        "notifications.language": (
            "Langue",
            "Langue des messages.",
        ),
        "notifications.site": (
            "Nom du site",
            "Se place devant chaque message, pour distinguer plusieurs sites ; vide, c'est `victron.battery_name`.",
        ),
        "notifications.level": (
            "Niveau minimal",
            "Signaler avertissements et alarmes (warning), ou les alarmes seules (alarm).",
        ),
        "notifications.delay_s": (
            "Délai",
            "Une alarme qui dure moins n'est pas signalée.",
        ),
        "notifications.all_clear": (
            "Fin d'alarme",
            "Signaler aussi la fin de ce qui a été signalé.",
        ),
        "notifications.only": (
            "Seulement celles-ci",
            "Noms des alarmes et avis qui sont signalés ; une liste vide, c'est tous.",
        ),
        "notifications.never": (
            "Jamais celles-ci",
            "Noms des alarmes et avis qui ne sont pas signalés ; par défaut, ce qui vient avec chaque pleine charge.",
        ),
        "notifications.quiet_from": (
            "Silence dès",
            "Début des heures de silence à l'heure de la machine, en HH:MM ; vide pour aucune.",
        ),
        "notifications.quiet_to": (
            "Silence jusqu'à",
            "Fin des heures de silence, en HH:MM ; plus tôt que le début, c'est le lendemain.",
        ),
        "notifications.quiet_level": (
            "Pendant le silence",
            "Ce qui est signalé malgré le silence : rien (none), ou les alarmes (alarm).",
        ),
        "notifications.webhook.enabled": (
            "Webhook",
            "Envoyer chaque message comme objet JSON à une adresse.",
        ),
        "notifications.webhook.url": (
            "Adresse",
            "Où envoyer ; tenue secrète en entier, car elle porte souvent une clé.",
        ),
        "notifications.webhook.token": (
            "Jeton",
            "Envoyé dans l'en-tête Authorization, jamais à une autre adresse ; vide pour aucun.",
        ),
        "notifications.webhook.server_certificate": (
            "Certificat du serveur",
            "Autorité de certification du serveur en texte PEM ; vide, celles du système.",
        ),
        "notifications.ntfy.enabled": (
            "Push par ntfy",
            "Envoyer chaque message à un sujet d'un serveur ntfy.",
        ),
        "notifications.ntfy.url": (
            "Serveur",
            "Adresse du serveur ntfy, sans le sujet.",
        ),
        "notifications.ntfy.topic": (
            "Sujet",
            "Sujet où publier ; tenu secret, car sur un serveur public quiconque le connaît peut lire.",
        ),
        "notifications.ntfy.token": (
            "Jeton d'accès",
            "Jeton d'accès du serveur ; vide pour aucun.",
        ),
        "notifications.ntfy.server_certificate": (
            "Certificat du serveur",
            "Autorité de certification du serveur en texte PEM ; vide, celles du système.",
        ),
        "notifications.email.enabled": (
            "Courriel",
            "Envoyer chaque message par courriel.",
        ),
        "notifications.email.server": (
            "Serveur de messagerie",
            "Nom ou adresse du serveur de messagerie (SMTP), sans port.",
        ),
        "notifications.email.port": (
            "Port",
            "Port du serveur de messagerie ; null = 587 (starttls), 465 (tls) ou 25 (none).",
        ),
        "notifications.email.security": (
            "Chiffrement",
            "Chiffrer avant de rien dire (starttls), dès le premier octet (tls), ou pas du tout (none).",
        ),
        "notifications.email.username": (
            "Nom d'utilisateur",
            "Nom d'utilisateur auprès du serveur de messagerie ; vide pour aucun.",
        ),
        "notifications.email.password": (
            "Mot de passe",
            "Mot de passe auprès du serveur de messagerie ; vide pour aucun.",
        ),
        "notifications.email.sender": (
            "Expéditeur",
            "Adresse électronique au nom de laquelle c'est envoyé ; vide, le premier destinataire.",
        ),
        "notifications.email.recipients": (
            "Destinataires",
            "Adresses électroniques qui sont prévenues, 20 au plus.",
        ),
        "notifications.email.server_certificate": (
            "Certificat du serveur",
            "Autorité de certification du serveur en texte PEM ; vide, celles du système.",
        ),
        "web_server.enabled": (
            "Serveur web",
            "Servir pages, REST et données en direct ; arrêté, seule une modification du fichier le remet en marche.",
        ),
        "web_server.port": (
            "Port",
            "Port du serveur web ; le 80 du micrologiciel demande un droit (CAP_NET_BIND_SERVICE), comme tout port sous 1024.",
        ),
        "web_server.listen_address": (
            "Écoute sur",
            "Adresse IP de l'interface où le serveur écoute ; vide pour toutes, `127.0.0.1` pour cette machine seule.",
        ),
        "web_server.websocket_update_interval_ms": (
            "Intervalle du direct",
            "Temps entre deux messages en direct à un navigateur.",
        ),
        "web_server.websocket_min_interval_ms": (
            "Intervalle le plus court du direct",
            "Temps le plus court entre deux messages en direct, événements compris.",
        ),
        "web_server.websocket_burst_window_ms": (
            "Fenêtre des salves",
            "Temps sur lequel une salve de messages en direct est comptée.",
        ),
        "web_server.websocket_burst_max": (
            "Limite des salves",
            "Messages en direct permis dans une fenêtre de salve.",
        ),
        "web_server.websocket_max_payload_bytes": (
            "Message en direct le plus long",
            "Un message en direct plus long part sans ses registres, ou pas du tout.",
        ),
        "web_server.enable_cors": (
            "CORS",
            "Laisser les pages des sites de `cors_origins` utiliser l'API ; désactivé par défaut, à la différence du micrologiciel, par sûreté.",
        ),
        "web_server.cors_origins": (
            "Sites permis",
            "Sites dont les pages peuvent utiliser l'API tant que `enable_cors` est actif ; jamais avec la session d'un navigateur.",
        ),
        "web_server.enable_auth": (
            "Connexion pour lire",
            "Demander une connexion pour lire aussi ; ce qui modifie en demande toujours une.",
        ),
        "web_server.reading_from_anywhere": (
            "Lecture de partout",
            "Sans `enable_auth`, laisser lire aussi les adresses hors de cette machine, des réseaux privés et de ses propres liens.",
        ),
        "web_server.username": (
            "Nom d'utilisateur",
            "Nom d'utilisateur de la connexion du micrologiciel.",
        ),
        "web_server.password": (
            "Mot de passe",
            "Mot de passe de la connexion du micrologiciel ; il n'y en a pas par défaut, le premier démarrage montre un jeton de mise en service.",
        ),
        "web_server.tls_certificate": (
            "Certificat",
            "Chemin d'une chaîne de certificats (PEM) ; avec `tls_key`, le serveur parle HTTPS.",
        ),
        "web_server.tls_key": (
            "Clé privée",
            "Chemin de la clé privée (PEM, sans mot de passe) de `tls_certificate`.",
        ),
        "web_server.tls_self_signed": (
            "Certificat maison",
            "Parler HTTPS avec un certificat fait ici, si aucun n'est donné ; demande `openssl`.",
        ),
        "web_server.max_ws_clients": (
            "Clients en direct",
            "Navigateurs qui peuvent recevoir le direct à la fois ; les 4 du micrologiciel tenaient à sa mémoire.",
        ),
        "logging.serial_baudrate": (
            "Vitesse de la console",
            "Vitesse de la console du micrologiciel.",
        ),
        "logging.log_level": (
            "Niveau du journal",
            "Messages les moins importants qui sont encore écrits.",
        ),
        "logging.log_uart_traffic": (
            "Journal de la ligne série",
            "Écrire chaque trame de la ligne série, au niveau DEBUG.",
        ),
        "logging.log_can_traffic": (
            "Journal du CAN",
            "Écrire chaque trame CAN, au niveau DEBUG.",
        ),
        "logging.log_cvl_changes": (
            "Journal des phases de charge",
            "Écrire chaque changement de la phase de charge, au niveau INFO.",
        ),
        "logging.output_serial": (
            "Journal vers la console",
            "Écrire vers la sortie d'erreur ; systemd la met dans le journal du système.",
        ),
        "logging.output_web": (
            "Journal pour le navigateur",
            "Garder les messages récents pour la page du journal et GET /api/logs.",
        ),
        "logging.output_sd": (
            "Journal vers une carte SD",
            "Écrire vers la carte SD du micrologiciel.",
        ),
        "logging.output_syslog": (
            "Journal vers syslog",
            "Envoyer les messages au serveur syslog qui suit.",
        ),
        "logging.syslog_server": (
            "Serveur syslog",
            "Machine du serveur syslog, avec :PORT si ce n'est pas 514.",
        ),
        "advanced.enable_watchdog": (
            "Chien de garde",
            "Laisser systemd redémarrer le pont quand son chemin de données se bloque.",
        ),
        "advanced.watchdog_timeout_s": (
            "Délai du chien de garde",
            "Plus long blocage du chemin de données avant un redémarrage (README : 30, conseil 60).",
        ),
        "advanced.hardware_watchdog": (
            "Chien de garde de la machine",
            "Laisser le matériel redémarrer toute la machine quand le pont se bloque ; pas à côté de RuntimeWatchdogSec de systemd.",
        ),
        "advanced.hardware_watchdog_device": (
            "Périphérique du chien de garde",
            "Le chien de garde de la machine.",
        ),
        "advanced.state_directory": (
            "Dossier d'état",
            "Où sont gardés compteurs, listes et utilisateurs ; vide = le dossier d'état de systemd ou ~/.local/state/tinybms-bridge.",
        ),
        "advanced.energy_save_interval_s": (
            "Intervalle de sauvegarde",
            "Temps le plus long entre deux sauvegardes des compteurs et de l'état de charge, qu'une coupure de courant peut coûter ; ce qui compte est sauvé plus tôt.",
        ),
        "advanced.history_enabled": (
            "Historique",
            "Garder un historique de la batterie dans le dossier d'état.",
        ),
        "advanced.history_days_10s": (
            "Jours par 10 s",
            "Jours de temps enregistré qui sont gardés par pas de 10 s ; 1,3 Mo par jour.",
        ),
        "advanced.history_days_1min": (
            "Jours à la minute",
            "Jours de temps enregistré qui sont gardés par pas de 1 min ; 0,2 Mo par jour.",
        ),
        "advanced.history_days_15min": (
            "Jours par 15 min",
            "Jours de temps enregistré qui sont gardés par pas de 15 min ; 15 Ko par jour.",
        ),
        "advanced.history_size_mb": (
            "Taille de l'historique",
            "Taille la plus grande de l'historique ; au-delà, les lignes les plus anciennes des pas les plus courts s'en vont, les jours jamais.",
        ),
        "advanced.enable_spiffs": (
            "SPIFFS",
            "Système de fichiers flash du micrologiciel.",
        ),
        "advanced.enable_ota": (
            "Mise à jour par le réseau",
            "Mise à jour du micrologiciel par le réseau.",
        ),
        "advanced.stack_size_bytes": (
            "Taille de pile",
            "Pile d'une tâche du micrologiciel.",
        ),
    }
)
"""Titre et explication d'une clé, par son chemin."""
