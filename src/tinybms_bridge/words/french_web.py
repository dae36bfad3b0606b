"""Le catalogue en français, pour ce que refuse le serveur web."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WEB_SENTENCES"]

_REQUESTS = {
    "request.failed": "la requête a échoué ; le journal dit pourquoi",
    "request.invalid": "la requête n'est pas valable",
    "request.nothing_there": "il n'y a rien à {path}",
    "request.impossible": "{method} n'est pas possible à {path}",
    "request.no_body": "la requête demande un corps JSON (en-tête Content-Type à application/json)",
    "request.no_json": "le corps doit être du JSON (en-tête Content-Type à application/json)",
    "request.not_json": "le corps n'est pas du JSON valable",
    "request.not_utf8": "le corps ne se lit pas comme du JSON en UTF-8",
    "request.large_head": "l'en-tête de la requête dépasse {most} octets",
    "request.large_body": "le corps dépasse {most} octets",
    "request.slow_body": "le corps n'est pas arrivé en {seconds} s",
    "request.two_lengths": "Transfer-Encoding et Content-Length dans une même requête : nul ne peut dire où finit son corps",
    "request.too_many_large": "trop de grandes réponses sont demandées à la fois ; réessayez dans {seconds} s",
    "request.no_alarm": "aucune alarme active n'a ce nom",
    "request.no_pack": "aucun pack ne s'appelle '{name}'[ ; pensiez-vous à {meant:,} ?]",
    "request.log_not_removed": "un fichier du journal ne peut pas être supprimé : {reason}",
    "request.bms_not_read": "les réglages du BMS n'ont pas encore été lus",
    "request.what_to_write": "donnez key et value, address et value, ou values",
    "request.not_all_written": "tous les réglages n'ont pas été écrits ({failed:,})",
    "request.several_settings": "le registre {register} en contient plusieurs : {names:,}",
    "request.times": "ISO 8601 (UTC sauf mention contraire), secondes depuis 1970, `now`, ou relatif comme `-24h`, `-7d`.",
    "request.no_time": "doit être un instant : {times}",
    "request.odd_time": "doit être un instant de 1970 à 2200",
    "request.begins_late": "doit être avant la fin, {end} ({time})",
    "request.day_after_end": "ne doit pas être après la fin, {end}",
    "request.days": "{days} jours, c'est trop : {most} au plus",
    "request.step": "doit aller de 10 s à 366 d, par exemple 60, 15m ou 1h",
    "request.steps": "{steps} pas, c'est trop : {most} au plus en {form}",
    "request.values": "{steps} pas de {series} séries font trop de valeurs : {most} au plus ; demandez-en moins, ou du csv",
    "request.points": "doit valoir au plus {most} en {form}",
    "request.unknown_field": "ce champ n'existe pas ; il y a {fields:,}[ ; pensiez-vous à {meant:,} ?]",
    "inhibit.not_saved": "{direction:@direction} arrêtée, mais cela n'a pas pu être enregistré et serait perdu au redémarrage : {reason}",
    "inhibit.release_not_saved": "{direction:@direction} libérée, mais cela n'a pas pu être enregistré et un redémarrage ramènerait l'arrêt : {reason}",
}

_ACCOUNTS = {
    "account.login_required": "il faut se connecter pour cela",
    "account.admin_required": "il faut un administrateur pour cela",
    "account.other_site": "une page d'un autre site n'a pas le droit de faire cela",
    "account.csrf_token": "l'en-tête X-CSRF-Token de la session manque ou est faux",
    "account.wrong_login": "le nom d'utilisateur ou le mot de passe est faux",
    "account.too_many_tries": "trop d'essais ; attendez {seconds} s",
    "account.busy": "trop de connexions à la fois ; réessayez dans un instant",
    "account.setup_required": "il n'y a pas encore d'administrateur : \"tinybms-bridge users\" en crée un, ou le jeton d'installation qu'il affiche",
    "account.setup_done": "il y a déjà un administrateur",
    "account.log_in": "il y a déjà un administrateur : connectez-vous",
    "account.wrong_setup_token": 'le jeton d\'installation est faux ; "tinybms-bridge users setup-token" affiche le jeton actuel',
    "account.name_rule": "un nom d'utilisateur compte 1 à 32 lettres, chiffres, points, traits d'union ou soulignés et commence par une lettre ou un chiffre",
    "account.password_rule": "un mot de passe compte {shortest} à {longest} caractères ; ni le nom d'utilisateur, ni un seul caractère répété",
    "account.label_rule": "une étiquette compte 1 à {longest} caractères imprimables",
    "account.user_exists": 'il y a déjà un utilisateur "{name}"',
    "account.unknown_user": "il n'y a pas d'utilisateur \"{name}\"",
    "account.too_many_users": "il y a déjà {most} utilisateurs",
    "account.last_admin": "le dernier administrateur doit rester ; créez-en d'abord un autre",
    "account.invalid_token": "le jeton n'est pas valable",
    "account.token_revoked": "le jeton a été révoqué",
    "account.token_expired": "le jeton a expiré le {day}",
    "account.token_days": "un jeton vit 1 à {most} jours, pas {days}",
    "account.unknown_token": "ce jeton n'existe pas",
    "account.no_such_token": '"{name}" n\'a pas de jeton {token}',
    "account.too_many_tokens": "il y a déjà {most} jetons ; révoquez-en d'abord un",
    "account.token_password": "un jeton ne peut pas changer un mot de passe : connectez-vous pour cela",
    "account.token_new_user": "un jeton ne peut pas créer un utilisateur : connectez-vous pour cela",
    "account.token_user": "un jeton ne peut pas modifier un utilisateur : connectez-vous pour cela",
    "account.token_token": "un jeton ne peut pas créer un autre jeton : connectez-vous pour cela",
}

_SERVER = {
    "web.port_in_use": "le port {port} est utilisé par un autre programme",
    "web.choose_port": "choisissez-en un autre comme web_server.port",
    "web.port_forbidden": "le port {port} n'est pas permis",
    "web.choose_high_port": "choisissez-en un au-dessus de 1023 comme web_server.port, ou donnez au service le droit CAP_NET_BIND_SERVICE",
    "web.no_address": "cette machine n'a pas l'adresse {address}",
    "web.correct_address": "corrigez web_server.listen_address, ou laissez-le vide",
    "web.port_closed": "impossible d'ouvrir le port {port} : {reason}",
    "web.see_port": "voyez web_server.port",
    "web.certificate_and_key": "doit être donné, car l'autre, du certificat ou de la clé, est donné",
    "web.no_openssl": "demande le programme openssl ; installez-le, ou donnez web_server.tls_certificate et tls_key",
    "web.openssl_failed": "openssl a échoué : {reason}",
    "web.openssl_hangs": "openssl n'a pas fini en {seconds} s",
    "web.certificate_not_kept": "le certificat ne peut pas être gardé : {reason}",
    "web.no_pair": "certificat et clé ne vont pas ensemble : {reason}",
}

WEB_SENTENCES: Mapping[str, str] = MappingProxyType(_REQUESTS | _ACCOUNTS | _SERVER)
"""La phrase de chaque code."""
