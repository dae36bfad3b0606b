"""Words of the page ``setup``: the first start, step by step."""

__all__ = ["WORDS"]

WORDS = {
    "title": ("First start", "Première mise en service"),
    "intro": (
        "Six short steps. You can leave at any time and go on later; nothing here keeps the bridge from working.",
        "Six étapes courtes. Vous pouvez partir et reprendre quand vous voulez ; rien ici n’empêche le pont de fonctionner.",
    ),
    "steps": ("Steps", "Étapes"),
    "step_done": ("done", "fait"),
    "step_open": ("open", "à faire"),
    "back": ("Back", "Retour"),
    "next": ("Next", "Suivant"),
    "finish": ("To the battery", "Vers la batterie"),
    "later": ("Later: show me the battery", "Plus tard : montrer la batterie"),
    "language": ("Language", "Langue"),
    "language_text": (
        "In which language shall these pages speak? It is kept in this browser; everybody chooses for themselves.",
        "Dans quelle langue ces pages doivent-elles parler ? Ce choix reste dans ce navigateur ; chacun choisit pour soi.",
    ),
    "administrator": ("Administrator", "Administrateur"),
    "administrator_text": (
        "Everybody on your network may look; only who logs in may change something. There is no default password.",
        "Chacun sur votre réseau peut regarder ; seul qui se connecte peut modifier. Il n’y a pas de mot de passe par défaut.",
    ),
    "administrator_closed": (
        "Only who logs in may read or change something. There is no default password.",
        "Seul qui se connecte peut lire ou modifier. Il n’y a pas de mot de passe par défaut.",
    ),
    "administrator_done": (
        "There is an administrator. More users, also such as may only look, are made on the page Access.",
        "Il y a un administrateur. D’autres utilisateurs, aussi de simples lecteurs, se créent sur la page Accès.",
    ),
    "token": ("Setup token", "Jeton de mise en service"),
    "token_text": (
        "It proves that you can read the bridge’s own machine. It has four groups of letters and digits and works once.",
        "Il prouve que vous avez accès à la machine du pont. Il a quatre groupes de lettres et de chiffres et sert une fois.",
    ),
    "token_where": ("Where do I find it?", "Où le trouver ?"),
    "token_terminal": (
        "In the terminal in which the bridge runs: it shows the token when it starts.",
        "Dans le terminal où tourne le pont : il montre le jeton au démarrage.",
    ),
    "token_journal": (
        "In the journal, where the bridge is a service of the system (with the name of your service):",
        "Dans le journal, si le pont est un service du système (avec le nom de votre service) :",
    ),
    "token_command": (
        "By this command on the machine, as the user under which the bridge runs:",
        "Par cette commande sur la machine, sous l’utilisateur qui fait tourner le pont :",
    ),
    "name_rule": (
        "1 to 32 letters, digits, dots, hyphens or underscores",
        "1 à 32 lettres, chiffres, points, tirets ou soulignés",
    ),
    "make_administrator": ("Make the administrator", "Créer l’administrateur"),
    "made_administrator": (
        "The administrator is made, and you are logged in.",
        "L’administrateur est créé, et vous êtes connecté.",
    ),
    "port": ("BMS", "BMS"),
    "port_text": (
        "The TinyBMS is connected by a serial adapter. Choose its port; the bridge asks there at once, and what answers is shown above.",
        "Le TinyBMS est relié par un adaptateur série. Choisissez son port ; le pont y interroge aussitôt, et la réponse s’affiche ci-dessus.",
    ),
    "port_safe": (
        "Nothing is opened to make this list. The bridge asks only at the port that you choose, because something else may be connected to the others.",
        "Rien n’est ouvert pour dresser cette liste. Le pont n’interroge que le port choisi, car autre chose peut être relié aux autres.",
    ),
    "ports": ("Serial ports of this machine", "Ports série de cette machine"),
    "port_in_use": ("in use", "utilisé"),
    "port_built_in": ("built in", "intégré"),
    "no_ports": (
        "This machine has no serial port. Plug in the adapter of the BMS and look again.",
        "Cette machine n’a pas de port série. Branchez l’adaptateur du BMS et regardez de nouveau.",
    ),
    "look_again": ("Look again", "Regarder de nouveau"),
    "look_for": ("Show what this machine has", "Montrer ce qu’a cette machine"),
    "use_port": ("Use this port", "Utiliser ce port"),
    "port_saved": ("The bridge asks at {port} now.", "Le pont interroge maintenant {port}."),
    "overridden": (
        "It is saved, but the command that started the bridge names another one, which stays in force until the bridge is started without it.",
        "C’est enregistré, mais la commande qui a lancé le pont en nomme un autre, qui reste en vigueur jusqu’à un lancement sans lui.",
    ),
    "output": ("CAN", "CAN"),
    "output_text": (
        "The GX of Victron hears the battery on a CAN bus. Its port for a BMS has 500 kbit/s.",
        "Le GX de Victron entend la batterie sur un bus CAN. Son port pour BMS a 500 kbit/s.",
    ),
    "interfaces": ("CAN interfaces of this machine", "Interfaces CAN de cette machine"),
    "no_interfaces": (
        "The system has no CAN interface. Plug in the adapter and look again; adapters that bring no interface of the system are set on the page Settings.",
        "Le système n’a pas d’interface CAN. Branchez l’adaptateur et regardez de nouveau ; les adaptateurs sans interface du système se règlent sur la page Réglages.",
    ),
    "can_up": ("up", "active"),
    "can_down": ("down", "inactive"),
    "can_bring_up": (
        "It is down. Bring it up on the machine with this command; it is needed once after each start unless your system does it:",
        "Elle est inactive. Activez-la sur la machine avec cette commande, une fois après chaque démarrage sauf si votre système le fait :",
    ),
    "can_other_rate": (
        "The interface runs at {rate} kbit/s. The GX port for a BMS has 500 kbit/s; both have to be alike.",
        "L’interface tourne à {rate} kbit/s. Le port BMS du GX a 500 kbit/s ; les deux doivent être égaux.",
    ),
    "state_error_active": ("the bus works", "le bus fonctionne"),
    "state_error_warning": ("the bus has errors", "le bus a des erreurs"),
    "state_error_passive": (
        "nobody answers on the bus, or its speed is wrong",
        "personne ne répond sur le bus, ou sa vitesse est fausse",
    ),
    "state_bus_off": ("the bus is cut off after too many errors", "le bus est coupé après trop d’erreurs"),
    "state_stopped": ("stopped", "arrêté"),
    "state_sleeping": ("asleep", "en veille"),
    "no_bitrate": ("no bit rate", "sans débit"),
    "bit_rate": ("Bit rate", "Débit"),
    "use_interface": ("Use this interface", "Utiliser cette interface"),
    "interface_saved": ("The bridge sends on {interface} now.", "Le pont envoie maintenant sur {interface}."),
    "other_adapter": (
        "The bridge uses an adapter of another kind now: {interface}.",
        "Le pont utilise maintenant un adaptateur d’un autre genre : {interface}.",
    ),
    "gx": ("GX", "GX"),
    "gx_text": (
        "A GX sends a sign of life once a second on the same bus. As soon as it is heard, it is shown here.",
        "Un GX envoie un signe de vie chaque seconde sur le même bus. Dès qu’il est entendu, cela s’affiche ici.",
    ),
    "gx_here": (
        "The GX has the battery in its list of devices now. Choose it there as controlling BMS (Settings, DVCC).",
        "La batterie est maintenant dans la liste des appareils du GX. Choisissez-la comme BMS de contrôle (Réglages, DVCC).",
    ),
    "gx_help": ("What to look at", "Que vérifier"),
    "gx_cable": (
        "The cable: CAN-H to CAN-H and CAN-L to CAN-L, to the BMS-Can or VE.Can port of the GX.",
        "Le câble : CAN-H sur CAN-H et CAN-L sur CAN-L, vers le port BMS-Can ou VE.Can du GX.",
    ),
    "gx_ends": (
        "Both ends of the bus have a terminator of 120 Ω; with everything switched off one measures 60 Ω between CAN-H and CAN-L.",
        "Les deux bouts du bus ont une terminaison de 120 Ω ; tout éteint, on mesure 60 Ω entre CAN-H et CAN-L.",
    ),
    "gx_profile": (
        "In the settings of that port of the GX the profile is “CAN-bus BMS (500 kbit/s)”.",
        "Dans les réglages de ce port du GX, le profil est « CAN-bus BMS (500 kbit/s) ».",
    ),
    "gx_no_need": (
        "Without a GX the bridge works all the same: go on.",
        "Sans GX, le pont fonctionne quand même : continuez.",
    ),
    "name": ("Name", "Nom"),
    "name_text": (
        "The name by which the GX and its portal show the battery: up to 16 letters, digits and signs without accents.",
        "Le nom sous lequel le GX et son portail montrent la batterie : jusqu’à 16 lettres, chiffres et signes sans accents.",
    ),
    "battery_name": ("Name of the battery", "Nom de la batterie"),
    "name_saved": ("The battery is called {name}.", "La batterie s’appelle {name}."),
    "finished": (
        "That was all. What is still open stands on the first page until it is done.",
        "C’est tout. Ce qui reste à faire se trouve sur la première page jusqu’à ce que ce soit fait.",
    ),
}
