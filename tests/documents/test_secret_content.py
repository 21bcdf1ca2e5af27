"""Files with secrets in their content are withheld; files that only describe secrets are read."""

import base64
import json
import textwrap
from pathlib import PurePath

import pytest

from streamrag_cli.documents.secret_content import secret_reason
from tests.support.fake_secrets import AWS_ID, AWS_SECRET, private_key, random_text

HEX = "0123456789abcdef"
TOKENS = {
    "ghp_" + random_text(36): "a GitHub token",
    "github_pat_" + random_text(22) + "_" + random_text(59): "a GitHub token",
    "glpat-" + random_text(20): "a GitLab token",
    "sk-" + random_text(48): "a model provider key",
    "sk-proj-" + random_text(80): "a model provider key",
    "sk-ant-api03-" + random_text(95): "a model provider key",
    "xoxb-" + random_text(12, "0123456789") + "-" + random_text(24): "a Slack token",
    "AIza" + random_text(35): "a Google API key",
    "hf_" + random_text(34): "a Hugging Face token",
    "npm_" + random_text(36): "an npm token",
    "SG." + random_text(22) + "." + random_text(43): "a SendGrid key",
    "dop_v1_" + random_text(64, HEX).lower().replace("r", "a"): "a DigitalOcean token",
    "AGE-SECRET-KEY-1" + random_text(58).upper(): "an age key",
}
PAGES = (
    "page.md",
    "page.rst",
    "page.html",
    "page.adoc",
    "main.py",
    "main.go",
    "notes.txt",
    "data.json",
    "a.yaml",
    "a.toml",
    "a.xml",
    "a.eml",
    "a.1",
)


@pytest.mark.fault("secrets-withheld")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("token", TOKENS)
def test_an_access_token_is_found_in_any_file(name: str, token: str) -> None:
    assert secret_reason(PurePath(name), f"before\nkey = '{token}'\nafter".encode()) == TOKENS[token]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "ENCRYPTED "])
def test_a_private_key_is_found_in_any_file(name: str, kind: str) -> None:
    assert secret_reason(PurePath(name), f"text\n{private_key(kind)}text".encode()) == "a private key"


OPENSSH = base64.b64encode(b"openssh-key-v1\0" + base64.b64decode(random_text(360) + "=" * (-360 % 4)))
PEM = private_key()


@pytest.mark.fault("secrets-withheld")
@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"key": PEM}),
        json.dumps(json.dumps({"key": PEM})),
        "data:\n" + textwrap.indent(PEM, "    "),
        textwrap.indent(PEM, "> "),
        textwrap.indent(PEM, "# "),
        'KEY="' + PEM.replace("\n", " ") + '"',
        "key = (\n" + "".join(f'    "{line}\\n" +\n' for line in PEM.splitlines()) + ")",
        PEM.partition("-----END")[0],
        private_key("EC ", size=118),
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n"
        + "\n".join(textwrap.wrap(random_text(900), 64))
        + "\n=aB3d\n-----END PGP PRIVATE KEY BLOCK-----\n",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{OPENSSH.decode()}\n-----END OPENSSH PRIVATE KEY-----\n",
        '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: "rsa-key"\n'
        + "\n".join(textwrap.wrap(random_text(900), 70))
        + "\n---- END SSH2 ENCRYPTED PRIVATE KEY ----\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 1\n"
        f"{random_text(60)}\nPrivate-Lines: 1\n{random_text(44)}\nPrivate-MAC: {random_text(64, HEX)}\n",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,4F\n\n"
        + random_text(256)
        + "\n-----END RSA PRIVATE KEY-----\n",
    ],
    ids=[
        "json",
        "json in json",
        "yaml",
        "quoted",
        "comment",
        "one line",
        "strings",
        "cut",
        "short",
        "pgp",
        "ssh",
        "ssh2",
        "putty",
        "old",
    ],
)
def test_a_private_key_is_found_with_any_quoting(text: str) -> None:
    assert secret_reason(PurePath("page.md"), text.encode()) == "a private key"


@pytest.mark.fault("secrets-withheld")
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("before", ["", "花园" * 40 + "\n"])
def test_secrets_are_found_in_any_unicode_encoding(encoding: str, before: str) -> None:
    assert secret_reason(PurePath("page.md"), f"{before}{PEM}".encode(encoding)) == "a private key"


@pytest.mark.parametrize(
    "text",
    [
        f"[default]\naws_access_key_id = {AWS_ID}\naws_secret_access_key = {AWS_SECRET}\n",
        f"AWSAccessKeyId={AWS_ID}\nAWSSecretKey={AWS_SECRET}\n",
        f'client("{AWS_ID}", "{AWS_SECRET}")',
        f'{{"aws_secret_access_key": "{AWS_SECRET}"}}',
        f"export AWS_SECRET_ACCESS_KEY={AWS_SECRET}",
    ],
)
def test_an_aws_secret_is_found_with_or_without_its_id(text: str) -> None:
    for name in PAGES:
        assert secret_reason(PurePath(name), text.encode()) in {"an AWS access key", "an AWS secret key"}


DOCUMENTATION = [
    "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
    f"The id is {AWS_ID}; the secret is shown once.",
    "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA04up8hoqzS1APIB0RhjXyObwHQnOzhAk5Bd7mhkSbPkyhP1\n[...]\n"
    "-----END RSA PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n" + PEM.splitlines()[1] + "\n-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n" + ("A" * 64 + "\n") * 20 + "-----END PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----\n<your key>\n-----END PRIVATE KEY-----\n",
    "A file that begins with `-----BEGIN PRIVATE KEY-----` is a key.",
    "Set OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx or sk-your-key-goes-here-and-nowhere-else-ok",
    "token: ghp_1234567890abcdefghijklmnopqrstuvwxyz12",
    "Tokens look like ghp_" + "x" * 36 + " or glpat-EXAMPLE0EXAMPLE0EXAMPLE",
    "class: sk-estimator-doc-link-fitted-sk-toggleable-content-label-12",
    "AIzaSyEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
]


@pytest.mark.fault("pages-about-secrets")
@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("text", DOCUMENTATION)
def test_documentation_with_example_secrets_is_read(name: str, text: str) -> None:
    assert secret_reason(PurePath(name), text.encode()) is None


KUBERNETES = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: aHVudGVyMi1odW50ZXIy\n"
KUBECONFIG = "current-context: prod\nclusters:\n- name: prod\nusers:\n- name: admin\n  user:\n    token: q7Kd2mPz\n"
JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"u-71","iat":1700000000}', random_text(32).encode())
)
SAMPLE_JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
    "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
)
DATA = [
    ("a.yaml", KUBERNETES, "a Kubernetes secret"),
    ("a.yml", "kind: ConfigMap\n---\n" + KUBERNETES.replace("data:", "stringData:"), "a Kubernetes secret"),
    ("a.json", '{\n"kind": "Secret",\n"data": {\n"password": "aHVudGVyMi1odW50ZXIy"}}', "a Kubernetes secret"),
    ("a.conf", f"users:\n- user:\n    client-key-data: {random_text(80)}\n", "a Kubernetes client key"),
    ("a.yaml", KUBECONFIG, "a Kubernetes login"),
    ("a.json", '{"terraform_version": "1.5", "serial": 4, "outputs": {"db": {"value": "q"}}}', "Terraform state"),
    ("a.json", f'{{"kty": "RSA", "e": "AQAB", "d": "{random_text(86)}"}}', "a private key"),
    ("a.json", '{"auths": {"registry.io": {"auth": "dXNlcjpodW50ZXIy"}}}', "a registry login"),
    ("a.ini", "//registry.npmjs.org/:_authToken=q7Kd2mPzq7Kd2mPz\n", "a registry token"),
    ("a.cfg", "[pypi]\nusername = me\npassword = q7Kd2mPz\n", "a registry token"),
    ("a.txt", "machine api.io\n  login me\n  password q7Kd2mPz\n", "a login"),
    ("a.txt", "me:$apr1$Xk3fPq0z$8hE1mL0sQ2rT5vW7xY9z.1\n", "password hashes"),
    ("a.conf", f"[Interface]\nPrivateKey = {random_text(43)}=\n", "a WireGuard key"),
    ("a.txt", ".x.io\tTRUE\t/\tFALSE\t1767225600\tsession\tq7Kd2mPz\n", "cookies"),
    ("a.json", '{"items": [{"login": {"password": "q7Kd2mPz"}}]}', "saved passwords"),
    ("a.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n", "an encrypted vault"),
    ("a.env.json", f'{{"bearer": "{JWT}"}}', "a JSON web token"),
    ("a.csv", "url,username,password\nhttps://x.io,me,q7Kd2mPz\n", "a list of passwords"),
    ("a.csv", "type,name,login_uri,login_username,login_password\nlogin,X,x.io,me,q7\n", "a list of passwords"),
    ("a.tsv", "Title\tUsername\tPassword\nX\tme\tq7Kd2mPz\n", "a list of passwords"),
    ("a.csv", "Access key ID,Secret access key\nq,q7Kd2mPz\n", "a list of passwords"),
    ("a.csv", "user,password\nme,required\nyou,q7Kd2mPz\n", "a list of passwords"),
    ("a.csv", "username;password\nme;7305\n", "a list of passwords"),
    ("a.csv", "account,password\nlibrary,90417736\n", "a list of passwords"),
]  # fmt: skip


@pytest.mark.fault("secrets-withheld")
@pytest.mark.parametrize(("name", "text", "what"), DATA)
def test_secrets_in_data_files_are_found_but_tutorials_that_show_them_are_read(name: str, text: str, what: str) -> None:
    assert secret_reason(PurePath(name), text.encode()) == what
    assert secret_reason(PurePath("tutorial.md"), f"# How to\n\n```\n{text}```\n".encode()) is None


@pytest.mark.fault("pages-about-secrets")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", KUBERNETES.replace("Secret", "SealedSecret")),
        ("a.yaml", KUBERNETES.replace("aHVudGVyMi1odW50ZXIy", "{{ .Values.password | b64enc }}")),
        ("a.yaml", "kind: Secret\nmetadata:\n  name: empty\n"),
        ("a.json", json.dumps({"jwt": SAMPLE_JWT})),
        ("openapi.yaml", f"openapi: 3.1.0\nexample: {JWT}\n"),
        ("a.csv", "key,en,de\npassword,Password,Passwort\n"),
        ("a.csv", "url,username,password\nhttps://x.io,me,\n"),
        ("a.csv", "site,passwords\nharbour.io,5300\nquay.io,117000000\n"),
        ("a.csv", "Service;Passwort\nHafen;1.200.000\nKai;4,5 Mio.\n"),
        ("a.csv", "website,password\nharbour.io,12.5%\nquay.io,~ 40 k\n"),
        ("a.csv", "host,password\nharbour,required\nquay,90 days\npier,8-64 characters\n"),
        ("a.tsv", "service\tpassword\nharbour\tsalted SHA-1\nquay\tplaintext\n"),
        ("a.csv", "name,pass\nunit,182\nend to end,17\n"),
        ("a.json", '{"items": [{"login": {"password": "optional"}}]}'),
        ("a.json", '{"login": "Sign in", "password": "Password", "items": "Items"}'),
        ("a.conf", "[Interface]\nPrivateKey = <your private key>\n"),
        ("a.ini", "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n"),
    ],
)
def test_data_without_actual_secret_values_is_read(name: str, text: str) -> None:
    assert secret_reason(PurePath(name), text.encode()) is None


def test_an_asc_file_is_read_unless_it_is_a_pgp_block() -> None:
    assert secret_reason(PurePath("a.asc"), b"= Keys\n\nExport them with `gpg --armor`.\n") is None
    assert secret_reason(PurePath("a.asc"), b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF\n") == "a PGP block"


def test_suspicious_files_are_withheld_only_if_their_content_confirms_the_suspicion() -> None:
    prose = b"The garden had been closed for ten years, and nobody knew where the key was buried. " * 4
    notes = prose + b"\npassword: hunter2\n"

    assert secret_reason(PurePath("settings.xml"), b"<string name='password'>Passwort</string>", "if_hinted") is None
    assert (
        secret_reason(PurePath("settings.xml"), b"<password>hunter2</password>", "if_hinted") == "a password or token"
    )
    assert secret_reason(PurePath("token.json"), b'"q7Kd2mPzq7Kd2mPz"', "if_hinted") is None
    for rule in (
        b"password: 90 days",
        b"token: 3600s",
        b"secret = required",
        b'"token": 12345',
        b"password=varchar(255)",
    ):
        assert secret_reason(PurePath("settings.ini"), rule, "if_hinted") is None
    assert secret_reason(PurePath("settings.ini"), b"password: 90417736", "if_hinted") == "a password or token"
    assert secret_reason(PurePath("token.txt"), b"q7Kd2mPzq7Kd2mPz\n", "if_hinted") == "a token"
    assert secret_reason(PurePath("The Secret Garden.txt"), prose, "unless_prose") is None
    assert secret_reason(PurePath("secrets.txt"), b"bank: hunter2\n", "unless_prose") == "a suspicious name"
    assert secret_reason(PurePath("secrets.txt"), notes, "unless_prose") == "a password or token"


def test_repetitive_content_is_searched_for_secrets_within_the_time_limit() -> None:
    for piece in (
        b"-----BEGIN PRIVATE KEY-----\n",
        b"AKIA",
        b"ghp_a",
        b"kind: Secret\n",
        b"eyJaaaaaaaaaaa.",
        b'"data":\n ',
    ):
        secret_reason(PurePath("a.json"), piece * (400_000 // len(piece)), "if_hinted")
