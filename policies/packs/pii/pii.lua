-- Personal data does not leave unseen. It allows nothing; it only adds demands to what other policies allow.
-- Copy it into a tenant's folder of policies.
policy "pii" { version = "1", owner = "privacy", tools = { "*" }, default = "deny" }

-- Numbers that open accounts or stand for a person leave by nobody's hand.
local NEVER_OUT = {
  "card", "iban", "us_ssn", "us_itin", "uk_nino", "uk_nhs_number", "de_tax_id", "fr_nir", "es_dni", "es_nie",
  "it_codice_fiscale", "be_national_number", "nl_bsn", "pl_pesel", "se_personnummer", "fi_hetu", "no_fodselsnummer",
  "dk_cpr", "ch_ahv", "br_cpf", "mx_curp", "cl_rut", "in_aadhaar", "cn_resident_id", "kr_rrn", "ca_sin", "au_tfn",
  "za_id", "tr_tckn", "jp_my_number", "sg_nric", "in_pan",
}

on(effect "egress", "no-account-or-identity-numbers-out", function(c)
  local found = pii(c.args, NEVER_OUT)
  if #found > 0 then
    return deny {
      code = "PII_OUT", say = "Take out the " .. found[1].kind .. ": such numbers are not sent.",
      because = #found .. " found, the first is " .. found[1].kind .. " in " .. found[1].path,
    }
  end
end)

-- Several people's contact data in one message is a list, not a letter.
on(effect "egress", "contact-lists-ask", function(c)
  if #pii(c.args, { "email", "phone", "postal_address" }) > 5 then
    return require_approval {
      approvers = { "role:privacy", "role:approver" }, expires = "1d",
      say = "This sends contact data of several people out.",
    }
  end
end)
