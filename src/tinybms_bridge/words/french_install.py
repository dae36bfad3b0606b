"""Le catalogue en français, pour ce que dit l'installation durable."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["INSTALL_SENTENCES"]

INSTALL_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "install.path_unusable": "{path} ne peut pas figurer dans une unité de systemd : il faut un chemin absolu sans guillemets, barre oblique inverse, $ ni %",
        "install.no_root": "un service est installé et enlevé par root : mettre sudo devant la même commande, ou ajouter --dry-run pour voir ce qu'elle ferait",
        "install.no_systemd": "cette machine n'est pas gérée par systemd, et rien ne peut donc y démarrer un service : faire appeler tinybms-bridge run --plain par son propre démarrage",
        "install.no_program": "{path} n'est pas un programme que l'on peut démarrer ; --program en nomme un autre",
        "install.in_home": "{path} se trouve dans un répertoire personnel, que le service ne peut pas lire : installer le programme dans /opt et l'appeler là (docs/install.md dit comment)",
        "install.unreadable": "le service ne pourrait pas lire {path}, car {closed} est fermé aux autres utilisateurs : sudo chmod o+rX {closed}",
        "install.packaged": "le paquet Debian a déjà installé le service ({path}) : le garder, ou l'enlever d'abord avec sudo apt remove tinybms-bridge",
        "install.other_bridge": "un pont fonctionne déjà et occupe les ports : {process} ; y mettre fin d'abord : {command}",
        "install.configuration_there": "il y a une autre configuration dans {path}, qui n'est pas remplacée : omettre --config pour la garder, ou la déplacer",
        "install.purge_alone": "--purge va avec --remove",
        "install.failed": "impossible de {step} : {reason} ; ce qui avait été fait a été défait",
        "install.failed_partly": "impossible de {step} : {reason} ; ce qui avait été fait a été défait, sauf ceci : {left:;}",
        "install.not_ready": "le service est installé et redémarré sans cesse, mais le cœur ne devient pas prêt[ : {lines:;}] ; journalctl -u tinybms-bridge-core en dit plus",
        "install.left": "tout n'a pas pu être enlevé : {reasons:;}",
        "install.step.write": "écrire {path}",
        "install.step.user": "créer l'utilisateur et le groupe {user}",
        "install.step.folder": "donner le répertoire {path} à {user}",
        "install.step.configuration": "copier {source} dans {path}",
        "install.step.command": "exécuter {command}",
        "install.would_remove": "enlever {path}",
        "install.removed.stopped": "service arrêté",
        "install.removed.path": "{path} enlevé",
        "install.removed.user": "utilisateur {user} enlevé",
        "install.removed": "le service a disparu ; configuration, compteurs et historique restent : --remove --purge les enlève",
        "install.purged": "le service a disparu avec tout ce qu'il avait enregistré",
        "install.nothing_there": "il n'y a pas de service à enlever",
        "install.waiting": "le cœur démarre ...",
        "install.ready": "le cœur est prêt[ : {said}]",
        "install.next.doctor": "tout va bien ?            {program} doctor",
        "install.next.pages": "pages dans le navigateur : {address}",
        "install.next.token": "leur premier utilisateur : sudo {program} users --state-directory {state} setup-token",
        "install.next.log": "le journal :              journalctl -u {core} -f",
        "install.next.group": "commandes sans sudo :     sudo usermod -aG {group} {login}, puis se reconnecter",
        "install.remark": "à noter : {remark}",
        "install.remark.can": "le service ne peut utiliser que les ports série et le CAN du noyau, et l'adaptateur CAN est {interface} : docs/install.md dit comment l'autoriser",
        "install.remark.state": "le service ne peut pas écrire dans advanced.state_directory, {folder} : le laisser vide, ou l'autoriser avec systemctl edit {unit}",
    }
)
