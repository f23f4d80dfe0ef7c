package handlers

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-playground/validator/v10"
	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Form is what a page shows of a form: what was typed, and what is wrong with it, by field.
type Form struct {
	Values map[string]string
	Errors map[string]string

	first string // the first field with an error: it takes the focus
}

// OK reports whether nothing is wrong with the form.
func (f Form) OK() bool { return len(f.Errors) == 0 }

// Says reports whether something was typed into one of the fields.
func (f Form) Says(fields ...string) bool {
	return slices.ContainsFunc(fields, func(field string) bool { return f.Values[field] != "" })
}

// Refuse notes what is wrong with a field.
func (f *Form) Refuse(field, reason string) {
	if f.Errors == nil {
		f.Errors, f.first = map[string]string{}, field
	}
	if f.Errors[field] == "" {
		f.Errors[field] = reason
	}
}

// RefuseError notes what a rule of the models found wrong, and reports whether err was that. rename
// gives the form's own names for fields of the models ("name" → "organization").
func (f *Form) RefuseError(err error, rename map[string]string) bool {
	var invalid *fault.Field
	if !errors.As(err, &invalid) {
		return false
	}
	field := invalid.Field
	if own, ok := rename[field]; ok {
		field = own
	}
	f.Refuse(field, invalid.Reason)
	return true
}

// readForm fills input, a pointer to a struct of strings, from the form that WithForm has read and
// validates it. `form` tags name the fields, `validate` tags hold the rules (see formRules), and
// `secret:"true"` marks what is never written back into a page. Values are trimmed of the spaces
// around them, secrets are not.
func readForm(c *fiber.Ctx, input any) (Form, error) {
	form := Form{Values: map[string]string{}}
	err := form.read(c, input)
	return form, err
}

// read is readForm of further fields.
func (f *Form) read(c *fiber.Ctx, input any) error {
	fields := reflect.ValueOf(input).Elem()
	for i := range fields.NumField() {
		tag := fields.Type().Field(i).Tag
		fields.Field(i).SetString(posted(c, tag.Get("form")))
		if tag.Get("secret") == "true" {
			continue
		}
		fields.Field(i).SetString(strings.TrimSpace(fields.Field(i).String()))
		f.Values[tag.Get("form")] = fields.Field(i).String()
	}
	var problems validator.ValidationErrors
	if err := formValidator.Struct(input); errors.As(err, &problems) {
		for _, problem := range problems {
			value, _ := problem.Value().(string)
			f.Refuse(problem.Field(), reasonOf(problem.Tag(), problem.Param(), value))
		}
	} else if err != nil {
		return fmt.Errorf("validate a form: %w", err)
	}
	return nil
}

// posted is a field of the form that WithForm has read; of one that comes twice the first. Unlike c.FormValue it never looks into
// the address, where a link could have put it.
func posted(c *fiber.Ctx, field string) string {
	return string(c.Request().PostArgs().Peek(field))
}

// formRules are the rules of this app, beside those of the validator, and what each says of a value
// it refuses.
var formRules = map[string]func(value string) error{
	"email_address": accounts.CheckEmail,
	"new_password":  passwords.CheckLength,
	"shown_name":    models.CheckName,
	"slug":          models.CheckSlug,
}

var formValidator = func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(field reflect.StructField) string { return field.Tag.Get("form") })
	for tag, check := range formRules {
		rule := func(level validator.FieldLevel) bool { return check(level.Field().String()) == nil }
		// Also asked about an empty value: the rule knows what to say about that, too.
		if err := v.RegisterValidation(tag, rule, true); err != nil {
			panic(err) // a tag that is no name: a mistake in the table above
		}
	}
	return v
}()

// reasonOf is what the person who typed value is told when a rule refuses it.
func reasonOf(tag, parameter, value string) string {
	if check, ok := formRules[tag]; ok {
		var invalid *fault.Field
		if errors.As(check(value), &invalid) {
			return invalid.Reason
		}
	}
	switch tag {
	case "required":
		return "Enter a value."
	case "max":
		return "Use at most " + parameter + " characters."
	case "oneof":
		return "Choose one of: " + strings.ReplaceAll(parameter, " ", ", ") + "."
	default:
		return "This value can't be used."
	}
}

// Field is one control of a form, as the template shared/field shows it.
type Field struct {
	Name, Label         string
	Type                string // of the input: "text" unless said otherwise
	Value, Error, Hint  string
	Autocomplete        string
	Class               string
	Required, Autofocus bool
	ReadOnly            bool
}

// ID is the control's ID.
func (f Field) ID() string { return "field-" + f.Name }

// ShowsHint reports whether there is a hint besides the error: what is wrong with a password repeats it.
func (f Field) ShowsHint() bool { return f.Hint != "" && (f.Error == "" || f.Type != "password") }

// DescribedBy lists the IDs of what explains the control.
func (f Field) DescribedBy() string {
	var ids []string
	if f.ShowsHint() {
		ids = append(ids, f.ID()+"-hint")
	}
	if f.Error != "" {
		ids = append(ids, f.ID()+"-error")
	}
	return strings.Join(ids, " ")
}

// Field describes a control for shared/field:
//
//	{{template "shared/field" (.Form.Field "email" "E-mail" "type=email" "autocomplete=username" "required")}}
//
// Options are type, autocomplete, hint, class, value (where nothing was typed yet), fixed (a value
// whatever was typed), required, readonly and autofocus. After a refusal the first field that was refused takes the focus instead.
func (f Form) Field(name, label string, options ...string) (Field, error) {
	field := Field{Name: name, Label: label, Type: "text", Value: f.Values[name], Error: f.Errors[name], Autofocus: name == f.first}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "type":
			field.Type = value
		case "autocomplete":
			field.Autocomplete = value
		case "hint":
			field.Hint = value
		case "class":
			field.Class = value
		case "value":
			if _, typed := f.Values[name]; !typed {
				field.Value = value
			}
		case "fixed":
			field.Value = value
		case "readonly":
			field.ReadOnly = true
		case "required":
			field.Required = true
		case "autofocus":
			field.Autofocus = field.Autofocus || f.OK()
		default:
			return field, fmt.Errorf("field %s: unknown option %q", name, key)
		}
	}
	if field.Type == "password" {
		field.Value = ""
	}
	return field, nil
}
