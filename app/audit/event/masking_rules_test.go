package event

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// readLines decodes the lines of a file in testdata. Its secrets have a ¦ in them, so that nobody takes them for real.
func readLines[T any](t *testing.T, name string) (lines []T) {
	t.Helper()
	file, err := os.Open("testdata/masking/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var line T
		if err := json.Unmarshal([]byte(strings.ReplaceAll(scanner.Text(), "¦", "")), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// leaves adds the texts of a value by their path, as in "items[].name".
func leaves(value any, path string, found map[string][]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if strings.Contains(key, ".") {
				key = `"` + key + `"`
			}
			leaves(child, strings.TrimPrefix(path+"."+key, "."), found)
		}
	case []any:
		for _, child := range v {
			leaves(child, path+"[]", found)
		}
	default:
		found[path] = append(found[path], fmt.Sprint(v))
	}
}

func TestFactsOfOtherProductsStayAndTheirSecretsGo(t *testing.T) {
	facts, secrets := 0, 0
	for _, sample := range readLines[struct {
		Vendor   string
		Metadata json.RawMessage
		Facts    [][2]string // path and value
		Secrets  []string
	}](t, "events.ndjson") {
		stored, err := own.Load().encodeMetadata(sample.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		object, err := decodeMetadata(stored)
		if err != nil {
			t.Fatal(err)
		}
		shown := map[string][]string{}
		leaves(object, "", shown)
		for _, fact := range sample.Facts {
			if facts++; !slices.Contains(shown[fact[0]], fact[1]) {
				t.Errorf("%s: %s is %q, and not %q", sample.Vendor, fact[0], shown[fact[0]], fact[1])
			}
		}
		for _, secret := range sample.Secrets {
			if secrets++; strings.Contains(fmt.Sprint(shown), secret) {
				t.Errorf("%s: %q stands in %s", sample.Vendor, secret, stored)
			}
		}
	}
	if facts < 150 || secrets < 35 {
		t.Errorf("only %d facts and %d secrets", facts, secrets)
	}
}

func TestCredentialsAreKnownByTheirForm(t *testing.T) {
	for _, sample := range readLines[struct{ Form, Text string }](t, "forms.ndjson") {
		masked := maskForms(sample.Text)
		if (masked != sample.Text) != (sample.Form != "") {
			t.Errorf("%s: %q is stored as %q", sample.Form, sample.Text, masked)
		}
		if again := maskForms(masked); again != masked {
			t.Errorf("%q, masked again, is %q", masked, again)
		}
	}
}

func TestOnlyTheSecretPartOfATextIsMasked(t *testing.T) {
	token := "gh" + "p_" + strings.Repeat("0123456789", 40)
	for text, want := range map[string]string{
		"pushed with " + token + ", twice: " + token:                                                 "pushed with [masked], twice: [masked]",
		"https://" + token + ":x-oauth@github.com/acme/web":                                          "https://[masked]:[masked]@github.com/acme/web",
		"postgres://web:p@ss:word@db/x?sslmode=require":                                              "postgres://web:[masked]@db/x?sslmode=require",
		"host=db user=web password=hunter2 sslmode=require":                                          "host=db user=web password=[masked] sslmode=require",
		"Server=db;Uid=web;Pwd='hunter 2';Encrypt=yes":                                               "Server=db;Uid=web;Pwd='[masked]';Encrypt=yes",
		"AccountName=a;AccountKey=aHVudGVyMg==;Endpoint=b":                                           "AccountName=a;AccountKey=[masked];Endpoint=b",
		"-H 'Authorization: Basic YWRhOmh1bnRlcjI=' https://":                                        "-H 'Authorization: Basic [masked]' https://",
		"?X-Amz-Signature=0123456789abcdef0123&X-Amz-Date=1":                                         "?X-Amz-Signature=[masked]&X-Amz-Date=1",
		"https://hooks.slack.com/services/" + "T0/B0/0123456789abcdefghij":                           "https://hooks.slack.com/services/[masked]",
		`{"id":7,"user":{"password":"hunter2","token_type":"bearer"}}`:                               `{"id":7,"user":{"password":"[masked]","token_type":"bearer"}}`,
		`{"id": 1.50, "note": "{\"api_key\": \"hunter2\"}"}`:                                         `{"id":1.50,"note":"{\"api_key\":\"[masked]\"}"}`,
		`{"id": 1.50, "name": "as it was"}`:                                                          `{"id": 1.50, "name": "as it was"}`,
		`body: {"client_secret": "hunter2", "id": 7} …`:                                              `body: {"client_secret": "[masked]", "id": 7} …`,
		`body: "{\"client_secret\":\"hunter2\",\"id\":7}" …`:                                         `body: "{\"client_secret\":\"[masked]\",\"id\":7}" …`,
		"httpTokens=required password=" + "[masked]" + " secret=arn:aws:s3:::b token=none key=value": "httpTokens=required password=[masked] secret=arn:aws:s3:::b token=none key=value",
		`b {"password": ["hunter2"]}`:                                                                `b {"password": [masked]}`,
		`b {"x":{"secret": {"a":{"b":"hunter2"},"c":"]}"},"d":1}}`:                                   `b {"x":{"secret": [masked],"d":1}}`,
		`b {"token":[["a]\\","b"],["hunter2"]],"id":7}`:                                              `b {"token":[masked],"id":7}`,
		`b "{\"password\":[\"a]\\\"]\",\"hunter2\"],\"id\":7}"`:                                      `b "{\"password\":[masked],\"id\":7}"`,
		`b {"password": ["hunter2", "hunt`:                                                           `b {"password": [masked]`,
		`b password='[' id=7]`:                                                                       `b password='[masked]' id=7]`,
		`b password=[hunter]2] id=7`:                                                                 `b password=[masked] id=7`,
		`b password={{ "hunter2" }}hunter2, id=7`:                                                    `b password=[masked], id=7`,
		"LS0tLS1CRUdJTiB" + "SU0EgUFJJVkFURSBLRVktLS0tLQpNSUlF":                                      "[masked]",
		"LS0tLS1CRUdJTiB" + "DRVJUSUZJQ0FURS0tLS0tCk1JSUU=":                                          "LS0tLS1CRUdJTiB" + "DRVJUSUZJQ0FURS0tLS0tCk1JSUU=",
	} {
		stored, err := own.Load().encodeMetadata(map[string]string{"text": text})
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Text string }
		if err := json.Unmarshal([]byte(stored), &got); err != nil || got.Text != want {
			t.Errorf("%s\nis stored as %s\nwant         %s", text, got.Text, want)
		}
		checkEncoding(t, json.RawMessage(stored))
	}
}

// TestTheRulesAreDocumented holds docs/recording.md to the rules. Where it fails, it says what belongs there.
func TestTheRulesAreDocumented(t *testing.T) {
	quoted := func(words []string) string { return "`" + strings.Join(words, "`, `") + "`" }
	var prefixes, names []string
	for _, prefix := range tokenPrefixes {
		prefixes = append(prefixes, prefix.text+"…")
	}
	for _, form := range forms {
		names = append(names, form.name)
	}
	table := strings.Join([]string{
		"| | |",
		"|---|---|",
		"| masked: keys with a word of what people choose | " + quoted(guessable) + " |",
		"| or of what programs issue | " + quoted(issued) + " |",
		"| not in these longer words | " + quoted(harmless) + " |",
		"| shown: such keys that end in | " + quoted(facts) + " |",
		"| or, if no person chose it, in | " + quoted(traces) + " |",
		"| or have before the word | " + quoted(made) + " |",
		"| or are | " + quoted(knownFacts) + " |",
		"| values that are shown, but where a person may have chosen them | " + quoted(settings) + ", a name of AWS (`arn:…`), the ID of a key of AWS (`AKIA…`, `ASIA…`) |",
		"| masked in any text: tokens by how they begin | " + quoted(prefixes) + " |",
		"| and | " + strings.Join(names, "; ") + " |",
	}, "\n")
	documented, err := os.ReadFile("../../../docs/recording.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(documented), table) {
		t.Errorf("docs/recording.md lacks this table:\n%s", table)
	}
}

func TestKeysAreTreatedByTheirWords(t *testing.T) {
	for key, want := range map[string]treatment{
		"dbpassword": guarded, "PGPASSWORD": guarded, "db_password_2": sealed, "password_confirmation": sealed, "passwordHint": sealed,
		"password_hash": sealed, "hashed_password": guarded, "token_hash": telling, "hashed_token": telling, "encrypted_token": sealed,
		"authtoken": sealed, "token_code": sealed, "id_token": sealed, "client_secret_expires_at": telling, "token_id": telling, "accesskeyid": telling,
		"SecretARN": telling, "secret_arns": telling, "token_id_secret": sealed, "x-token-type": telling, "tokenizer": ordinary,
		"tokenizer_token": sealed, "secretary": ordinary, "passwordless_enabled": ordinary, "max_tokens": counting, "Authorization": heading,
		"authorizations": heading, "proxy-authorization": heading, "authorizationInfo": ordinary, "authorization_code_secret": sealed,
		"authorization.k8s.io/decision": ordinary, "oauth.token_url": telling, "password_reset_url": sealed, "invite_token_url": sealed,
		"last_password_used": sealed, "password_last_used": telling, "password_used": sealed, "unhashed_token": sealed,
		"name": ordinary, "stated": ordinary, "private_key_id": telling, "ſecret": sealed,
		"ｐａｓｓｗｏｒｄ": guarded, "𝐃𝐁𝐏𝐚𝐬𝐬𝐰𝐨𝐫𝐝": guarded, "pássword": guarded, "pa\u0301ssword": guarded, "pass\u3164word": guarded, "pass\uffa0word": guarded,
		"ⓣⓞⓚⓔⓝ": sealed, "⒯⒪⒦⒠⒩": sealed, "ＡＰＩＫｅｙ": sealed, "ｔｏｋｅｎＩｄ": telling, "tokenízer": ordinary, "größe": ordinary,
	} {
		if got := own.Load().treat(key, ordinary); got != want {
			t.Errorf("%q is treated as %d, want %d", key, got, want)
		}
	}
}

func TestWhatIsInACredentialIsMaskedUnlessItTells(t *testing.T) {
	for metadata, want := range map[string]string{
		`{"credentials":{"accessKeyId":"1","expiration":"2","sessionToken":"3","password":"no"}}`:                                 `{"credentials":{"accessKeyId":"1","expiration":"2","password":"[masked]","sessionToken":"[masked]"}}`,
		`{"credentials":[{"name":"a","data":{"user":"b","type":["c"]},"used":true}]}`:                                             `{"credentials":[{"data":{"type":["c"],"user":"[masked]"},"name":"a","used":true}]}`,
		`{"secret_version":{"data":"a","id":"b"},"token_scopes":["c",{"d":"e"}]}`:                                                 `{"secret_version":{"data":"[masked]","id":"b"},"token_scopes":["c",{"d":"[masked]"}]}`,
		`{"secret_version":{"before":1,"after":{"data":"a"}}}`:                                                                    `{"secret_version":{"after":{"data":"[masked]"},"before":1}}`,
		`{"Authorization":["Bearer x"],"authorization":{"action":"a","evidence":{"role":"b"}}}`:                                   `{"Authorization":["[masked]"],"authorization":{"action":"a","evidence":{"role":"b"}}}`,
		`{"authorization":{"scheme":"Bearer","parameter":"x","token":"y"}}`:                                                       `{"authorization":{"parameter":"[masked]","scheme":"Bearer","token":"[masked]"}}`,
		`{"max_tokens":1000,"tokens":["x",5]}`:                                                                                    `{"max_tokens":1000,"tokens":["[masked]",5]}`,
		`{"httpTokens":"required","password":"required","access_key":"` + "AKIA" + `IOSFODNN7EXAMPLE"}`:                           `{"access_key":"` + "AKIA" + `IOSFODNN7EXAMPLE","httpTokens":"required","password":"[masked]"}`,
		`{"headers":[{"name":"X-Token-Id","value":"a"},{"name":"Authorization","value":"b"}]}`:                                    `{"headers":[{"name":"X-Token-Id","value":"a"},{"name":"Authorization","value":"[masked]"}]}`,
		`{"` + "gh" + `p_0123456789012345678901234567890123456789":1,"` + "gh" + `o_0123456789012345678901234567890123456789":2}`: `{"[masked]":2,"[masked] 2":1}`,
	} {
		if got := checkEncoding(t, json.RawMessage(metadata)); got != want {
			t.Errorf("%s\nis stored as %s\nwant         %s", metadata, got, want)
		}
	}
}
