package event

// This file is the rules by which a value is masked, as data; docs/recording.md shows them, and a test holds them to
// each other. What a key opens is decided first: a key that holds one of the words of credentialWords does, however
// it is spelt, unless it ends in what only tells of a credential.

// guessable are the words of what people choose: a hash of it can be guessed from.
var guessable = []string{"password", "passwd", "pwd", "passphrase", "passcode"}

// issued are the words of what programs make.
var issued = []string{"secret", "token", "authorization", "cookie", "credential",
	"apikey", "accesskey", "privatekey", "signingkey", "encryptionkey"}

// harmless are longer words in which one of these is only letters.
var harmless = []string{"passwordless", "tokenize", "tokenizer", "tokenizers", "tokenized", "tokenization",
	"secretary", "secretaries", "secretariat", "cookieless"}

// facts are the last words of keys that tell of a credential and open nothing: token_type, secretVersionId.
var facts = []string{
	"id", "uid", "uuid", "guid", "arn", "name", "username", "type", "kind", "label", "description", "version", "format", "algorithm",
	"count", "total", "limit", "usage", "length", "age", "days", "hours", "minutes", "seconds", "ttl", "duration",
	"time", "date", "at", "by", "expires", "expires in", "expiry", "expiration",
	"updated", "changed", "last used", "last rotated",
	"info", "reason", "decision", "status", "state", "action", "consent", "enabled", "disabled", "required", "prevention",
	"issuer", "provider", "method", "source", "owner", "audience", "network", "region",
	"scope", "permission", "role", "policy", "policies",
}

// traces are further last words, but not of what is guessable: token_hash is a fact, password_hash is not.
var traces = []string{"hash", "hashes", "digest", "fingerprint", "thumbprint", "checksum", "prefix"}

// made are first words that say the same as a trace: hashed_token.
var made = []string{"hashed", "masked", "obfuscated", "redacted"}

// knownFacts are keys that no rule covers and that products use for facts.
var knownFacts = []string{
	"authorization url", "authorization uri", "authorization endpoint", "token url", "token uri", "token endpoint", // OAuth 2.0
	"subject from web identity token", "x-amz-credential", // AWS
	"authorized credential note", "secrets passed", // GitHub
}

// headerParts are the members of an object under the key authorization, which is ordinary data, that hold what the
// header of that name does.
var headerParts = []string{"value", "values", "parameter", "parameters", "bearer", "basic", "header"}

// settings are values that are facts, but for those of keys that end in a guessable word: they may be somebody's password.
var settings = []string{"true", "false", "yes", "no", "none", "required", "optional", "enabled", "disabled", "active", "inactive",
	"allow", "deny", "success", "failure", "low", "medium", "high"}

// tokenPrefixes are how tokens of well-known services begin, and how many letters, digits, _ and - follow at least.
//
// Source: gitleaks, config/gitleaks.toml at 09242ce9c8a60d9b051fc2d166f9e849b88c7ac0 (MIT, Copyright (c) 2019 Zachary
// Rice), reduced to its rules that begin with something unmistakable. Loosened, as this is to mask and not to find: a
// token may be longer than the service makes them, and it need not look random.
var tokenPrefixes = []tokenPrefix{
	{"ghp_", 36}, {"gho_", 36}, {"ghu_", 36}, {"ghs_", 36}, {"ghr_", 36}, {"github_pat_", 36},
	{"glpat-", 20}, {"glptt-", 20}, {"gldt-", 20}, {"glrt-", 20}, {"glcbt-", 20}, {"glft-", 20}, {"glimt-", 20}, {"glagent-", 20},
	{"glsoat-", 20}, {"gloas-", 20}, {"glffct-", 20},
	{"xoxa-", 10}, {"xoxb-", 10}, {"xoxe-", 10}, {"xoxo-", 10}, {"xoxp-", 10}, {"xoxr-", 10}, {"xoxs-", 10}, {"xapp-", 10},
	{"sk_live_", 10}, {"sk_test_", 10}, {"sk_prod_", 10}, {"rk_live_", 10}, {"rk_test_", 10}, {"rk_prod_", 10}, {"whsec_", 20},
	{"sk-ant-", 20}, {"sk-proj-", 20}, {"sk-svcacct-", 20}, {"sk-admin-", 20}, {"pplx-", 40}, {"hf_", 34},
	{"AIza", 35}, {"GOCSPX-", 28}, {"npm_", 36}, {"pypi-", 60}, {"rubygems_", 48},
	{"dop_v1_", 60}, {"doo_v1_", 60}, {"dor_v1_", 60}, {"shpat_", 32}, {"shpca_", 32}, {"shppa_", 32}, {"shpss_", 32},
	{"glsa_", 32}, {"hvs.", 24}, {"hvb.", 24}, {"lin_api_", 40}, {"ntn_", 40}, {"pul-", 40}, {"pscale_", 36}, {"sntryu_", 60},
	{"PMAK-", 50}, {"AGE-SECRET-KEY-1", 50},
}

// shortestToken is how long a name is at least in which one of them may stand.
const shortestToken = 15

// forms are credentials that are known by more than how they begin. Where a pattern has groups, they are what is
// masked; otherwise the whole match is. What is longer than its form is masked whole.
//
// Sources: gitleaks as above, loosened in the same way (private key, JSON web token, SendGrid, Azure, Slack); nosey
// parker's AWS rule (Apache-2.0) and detect-secrets' rule for URLs (Apache-2.0), written anew; the rest is our own.
var forms = []form{
	{name: "a private key (PEM)", literals: []string{"-----BEGIN"}, oncePerWord: true,
		pattern: `-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----|\z)`},
	{name: "the same in base64", literals: []string{"LS0tLS1CRUdJTiB"},
		pattern: `LS0tLS1CRUdJTiB(?:QUklW|SU0Eg|FQyB|PUEVOU1NI|FTkNS|EU0Eg)[A-Za-z0-9+/=]+`},
	{name: "a JSON web token", literals: []string{"eyJ"}, atWord: true, oncePerWord: true,
		pattern: `ey[\w-]{15,}\.(?:ey[\w-]{10,}\.[\w-]*|[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+)`},
	{name: "a key of SendGrid", literals: []string{"SG."}, atWord: true,
		pattern: `SG\.[\w=-]{20,}\.[\w=-]{40,}`},
	{name: "the secret beside a key ID of AWS", literals: []string{"AKIA", "ASIA"}, atWord: true, keeps: isHexadecimal, // a commit's
		pattern: `A[KS]IA[A-Z0-9]{16}\b[^A-Za-z0-9/+]{1,40}(?:[A-Za-z_ ]{0,30}[^A-Za-z0-9/+]{1,10})?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|\z)`},
	{name: "a client secret of Azure", literals: []string{"Q~"}, back: len("abc8Q~"),
		pattern: `[\w~.]{3}\dQ~[\w~.-]{31,}`},
	{name: "the path of a Slack webhook", literals: []string{"hooks.slack.com/"},
		pattern: `hooks\.slack\.com/(?:services|workflows|triggers)/([\w+/]{20,})`},
	{name: "the password in a URL", literals: []string{"://"},
		pattern: `://[^\s/?#:@"'<>]*:([^\s/?#"'<>]+)@`},
	{name: "what follows the scheme in an Authorization header", literals: []string{"authorization"}, anyCase: true,
		pattern: `(?i)authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token|digest|negotiate|apikey)\s+([^\s"',;]+)`},
	{name: "a signature in an address, such as SAS", anyCase: true, back: len("="), pattern: `=([^\s&;,"'#]{16,})`,
		literals: []string{"?sig=", "&sig=", ";sig=", "?signature=", "&signature=", "-signature=", "_signature="}},
	{name: "the value of a parameter or member named password, secret, token, api_key, …", anyCase: true, back: 1, nests: 4,
		literals: parameters,
		pattern:  `(?:=|\\*"\s*:\s*)(?:\\+"([^"\\]+)|"((?:[^"\\]|\\.)+)|'([^']+)|([\[{])|([^\s&;,"'#\\]+))`},
}

// parameters are names within a text, with what may follow: in an address or the name of a data source, in JSON, and in
// JSON that is a text in JSON.
var parameters = func() (names []string) {
	for _, name := range []string{"password", "passwd", "pwd", "passphrase", "secret", "token"} {
		names = append(names, name+"=", name+`"`, name+`\`)
	}
	for _, of := range []string{"api", "access", "account", "secret", "private", "signing", "encryption"} {
		for _, separator := range []string{"", "_", "-"} {
			name := of + separator + "key"
			names = append(names, name+"=", name+`"`, name+`\`)
		}
	}
	return names
}()
