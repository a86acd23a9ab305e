#include "secret_kinds.h"

namespace interlock::policies::detect {
namespace {

// Source forges, packages, builds.
void AddDevelopment(std::vector<SecretKind>& kinds) {
  using enum SecretSure;
  kinds.insert(kinds.end(), {{"github_token", "ghp_", "%a{36,251}", kHigh},
                             {"github_oauth_token", "gho_", "%a{36,251}", kHigh},
                             {"github_user_token", "ghu_", "%a{36,251}", kHigh},
                             {"github_app_token", "ghs_", "%a{36,251}", kHigh},
                             {"github_refresh_token", "ghr_", "%a{36,251}", kHigh},
                             {"github_fine_grained_token", "github_pat_", "%a{22}_%a{59}", kHigh},
                             {"gitlab_token", "glpat-", "%t{20,300}", kHigh},
                             {"gitlab_deploy_token", "gldt-", "%w{20,64}", kHigh},
                             {"gitlab_runner_token", "glrt-", "%t{20,64}", kHigh},
                             {"gitlab_job_token", "glcbt-", "%w{20,64}", kHigh},
                             {"gitlab_trigger_token", "glptt-", "%w{20,64}", kHigh},
                             {"gitlab_feed_token", "glft-", "%w{20,64}", kHigh},
                             {"gitlab_agent_token", "glagent-", "%w{50,1024}", kHigh},
                             {"gitlab_oauth_secret", "gloas-", "%w{40,80}", kHigh},
                             {"bitbucket_app_password", "ATBB", "%a{32}", kStrict},
                             {"atlassian_token", "ATATT3xFfGF0", "%w{40,300}=%X{8}", kHigh},
                             {"atlassian_admin_token", "ATCTT3xFfGN0", "%w{40,300}=%X{8}", kHigh},
                             {"npm_token", "npm_", "%a{36}", kHigh},
                             {"pypi_token", "pypi-AgEIcHlwaS5vcmc", "%w{50,1000}", kHigh},
                             {"rubygems_token", "rubygems_", "%x{48}", kHigh},
                             {"crates_token", "cio", "%a{32}", kStrict},
                             {"nuget_key", "oy2", "%l{43}", kStrict},
                             {"clojars_token", "CLOJARS_", "%x{60}", kHigh},
                             {"docker_token", "dckr_pat_", "%w{27}", kHigh},
                             {"docker_org_token", "dckr_oat_", "%w{27,36}", kHigh},
                             {"artifactory_key", "AKCp", "%a{60,80}", kStrict},
                             {"buildkite_token", "bkua_", "%x{40}", kHigh},
                             {"circleci_token", "CCIPAT_", "%a{22}_%x{40}", kHigh},
                             {"circleci_project_token", "CCIPRJ_", "%a{22}_%x{40}", kHigh},
                             {"sourcegraph_token", "sgp_", "%X{40}", kHigh},
                             {"postman_key", "PMAK-", "%X{24}-%X{34}", kHigh},
                             {"terraform_token", ".atlasv1.", "%w{60,70}", kHigh},
                             {"pulumi_token", "pul-", "%x{40}", kHigh},
                             {"prefect_key", "pnu_", "%a{36}", kHigh},
                             {"infracost_key", "ico-", "%a{32}", kHigh},
                             {"readme_key", "rdme_", "%l{70}", kHigh}});
}

// Clouds, hosting, databases, secret stores.
void AddInfrastructure(std::vector<SecretKind>& kinds) {
  using enum SecretSure;
  kinds.insert(kinds.end(), {{"aws_access_key", "AKIA", "%u{16}", kStrict},
                             {"aws_temporary_key", "ASIA", "%u{16}", kStrict},
                             {"aws_bedrock_key", "ABSK", "%b{109,269}", kStrict},
                             {"google_api_key", "AIza", "%w{35}", kStrict},
                             {"google_oauth_secret", "GOCSPX-", "%w{28}", kHigh},
                             {"google_access_token", "ya29.", "%w{40,1024}", kHigh},
                             {"azure_storage_key", "AccountKey=", "%b{88}", kHigh},
                             {"azure_shared_access_key", "SharedAccessKey=", "%b{44}", kHigh},
                             {"alibaba_key", "LTAI", "%a{20}", kStrict},
                             {"tencent_key", "AKID", "%a{32}", kStrict},
                             {"yandex_key", "AQVN", "%w{35,38}", kStrict},
                             {"digitalocean_token", "dop_v1_", "%x{64}", kHigh},
                             {"digitalocean_oauth_token", "doo_v1_", "%x{64}", kHigh},
                             {"digitalocean_refresh_token", "dor_v1_", "%x{64}", kHigh},
                             {"heroku_key", "HRKU-", "%w{36,64}", kHigh},
                             {"flyio_token", "fo1_", "%w{43}", kHigh},
                             {"flyio_macaroon", "fm2_", "%b{80,2000}", kHigh},
                             {"netlify_token", "nfp_", "%a{36,40}", kHigh},
                             {"render_key", "rnd_", "%a{32}", kHigh},
                             {"scalingo_token", "tk-us-", "%w{48}", kHigh},
                             {"supabase_token", "sbp_", "%x{40}", kHigh},
                             {"supabase_secret_key", "sb_secret_", "%w{31,48}", kHigh},
                             {"planetscale_token", "pscale_tkn_", "%t{32,64}", kHigh},
                             {"planetscale_password", "pscale_pw_", "%t{32,64}", kHigh},
                             {"planetscale_oauth_token", "pscale_oauth_", "%t{32,64}", kHigh},
                             {"databricks_token", "dapi", "%x{32}", kStrict},
                             {"vault_token", "hvs.", "%w{24,300}", kHigh},
                             {"vault_batch_token", "hvb.", "%w{90,300}", kHigh},
                             {"vault_recovery_token", "hvr.", "%w{24,300}", kHigh},
                             {"doppler_token", "dp.pt.", "%a{40,44}", kHigh},
                             {"doppler_service_token", "dp.st.", "%t{40,80}", kHigh},
                             {"onepassword_service_token", "ops_eyJ", "%b{200,2000}", kHigh},
                             {"age_key", "AGE-SECRET-KEY-1", "%u{58}", kHigh},
                             {"cloudflare_origin_key", "v1.0-", "%x{24}-%x{146}", kHigh},
                             {"tailscale_key", "tskey-auth-", "%a{8,24}-%a{20,64}", kHigh},
                             {"tailscale_api_key", "tskey-api-", "%a{8,24}-%a{20,64}", kHigh},
                             {"tailscale_client_key", "tskey-client-", "%a{8,24}-%a{20,64}", kHigh},
                             {"grafana_service_token", "glsa_", "%a{32}_%X{8}", kHigh},
                             {"grafana_cloud_token", "glc_", "%b{32,400}", kHigh},
                             {"newrelic_key", "NRAK-", "%u{27}", kHigh},
                             {"newrelic_insert_key", "NRII-", "%w{32}", kHigh},
                             {"sentry_org_token", "sntrys_", "%b{60,400}", kHigh},
                             {"sentry_user_token", "sntryu_", "%x{64}", kHigh},
                             {"dynatrace_token", "dt0c01.", "%u{24}.%u{64}", kHigh}});
}

// Money, shops, mail, chat, documents.
void AddServices(std::vector<SecretKind>& kinds) {
  using enum SecretSure;
  kinds.insert(
      kinds.end(),
      {{"stripe_secret_key", "sk_live_", "%a{16,200}", kHigh},
       {"stripe_restricted_key", "rk_live_", "%a{16,200}", kHigh},
       {"stripe_test_key", "sk_test_", "%a{16,200}", kHigh},
       {"stripe_test_key", "rk_test_", "%a{16,200}", kHigh},
       {"webhook_secret", "whsec_", "%b{24,128}", kHigh},
       {"square_token", "sq0atp-", "%w{22}", kHigh},
       {"square_secret", "sq0csp-", "%w{43}", kHigh},
       {"braintree_token", "access_token$production$", "%l{16}$%x{32}", kHigh},
       {"razorpay_key", "rzp_live_", "%a{14}", kHigh},
       {"flutterwave_key", "FLWSECK-", "%l{32}-X", kHigh},
       {"plaid_token", "access-production-", "%x{8}-%x{4}-%x{4}-%x{4}-%x{12}", kHigh},
       {"easypost_key", "EZAK", "%a{54}", kStrict},
       {"shippo_token", "shippo_live_", "%x{40}", kHigh},
       {"duffel_token", "duffel_live_", "%w{43}", kHigh},
       {"shopify_token", "shpat_", "%X{32}", kHigh},
       {"shopify_custom_token", "shpca_", "%X{32}", kHigh},
       {"shopify_private_token", "shppa_", "%X{32}", kHigh},
       {"shopify_shared_secret", "shpss_", "%X{32}", kHigh},
       {"sendgrid_key", "SG.", "%w{20,24}.%w{39,50}", kHigh},
       {"mailgun_key", "key-", "%x{32}", kHigh},
       {"brevo_key", "xkeysib-", "%x{64}-%a{16}", kHigh},
       {"brevo_smtp_key", "xsmtpsib-", "%x{64}-%a{16}", kHigh},
       {"slack_bot_token", "xoxb-", "%d{8,14}-%w{18,64}", kHigh},
       {"slack_user_token", "xoxp-", "%d{8,14}-%d{8,14}-%w{28,80}", kHigh},
       {"slack_app_token", "xapp-", "%d{1}-%u{8,14}-%d{8,14}-%a{32,80}", kHigh},
       {"slack_config_token", "xoxe.xoxp-", "%d{1}-%a{100,250}", kHigh},
       {"slack_refresh_token", "xoxe-", "%d{1}-%a{100,250}", kHigh},
       {"slack_webhook", "hooks.slack.com/services/", "T%u{7,12}/B%u{7,12}/%a{20,30}", kHigh},
       {"discord_webhook", "discord.com/api/webhooks/", "%d{17,20}/%w{60,80}", kHigh},
       {"teams_webhook", ".webhook.office.com/webhookb2/",
        "%x{8}-%x{4}-%x{4}-%x{4}-%x{12}@%x{8}-%x{4}-%x{4}-%x{4}-%x{12}", kHigh},
       {"notion_token", "ntn_", "%a{40,50}", kHigh},
       {"linear_key", "lin_api_", "%a{40}", kHigh},
       {"linear_oauth_token", "lin_oauth_", "%a{40,64}", kHigh},
       {"figma_token", "figd_", "%w{40}", kHigh},
       {"airtable_token", "pat", "%a{14}.%x{64}", kStrict},
       {"contentful_token", "CFPAT-", "%w{43}", kHigh},
       {"typeform_token", "tfp_", "%t{40,64}", kHigh},
       {"hubspot_token", "pat-na1-", "%X{8}-%X{4}-%X{4}-%X{4}-%X{12}", kHigh},
       {"hubspot_token", "pat-eu1-", "%X{8}-%X{4}-%X{4}-%X{4}-%X{12}", kHigh},
       {"frameio_token", "fio-u-", "%w{64}", kHigh},
       {"dropbox_token", "sl.", "%w{130,2000}", kHigh},
       {"mapbox_token", "sk.eyJ", "%w{60,200}.%w{20,32}", kHigh}});
}

void AddModels(std::vector<SecretKind>& kinds) {
  using enum SecretSure;
  kinds.insert(kinds.end(), {{"openai_key", "sk-proj-", "%w{40,200}", kHigh},
                             {"openai_key", "sk-svcacct-", "%w{40,200}", kHigh},
                             {"openai_admin_key", "sk-admin-", "%w{40,200}", kHigh},
                             {"openai_key", "sk-", "%a{48}", kHigh},
                             {"anthropic_key", "sk-ant-api", "%d{2}-%w{80,110}", kHigh},
                             {"anthropic_admin_key", "sk-ant-admin", "%d{2}-%w{80,110}", kHigh},
                             {"openrouter_key", "sk-or-v1-", "%x{64}", kHigh},
                             {"huggingface_token", "hf_", "%a{34,40}", kHigh},
                             {"huggingface_org_token", "api_org_", "%a{34}", kHigh},
                             {"replicate_token", "r8_", "%a{37}", kHigh},
                             {"groq_key", "gsk_", "%a{52}", kHigh},
                             {"perplexity_key", "pplx-", "%a{48,56}", kHigh},
                             {"xai_key", "xai-", "%a{80}", kHigh},
                             {"tavily_key", "tvly-", "%w{32,48}", kMedium},
                             {"pinecone_key", "pcsk_", "%a{5,8}_%a{40,80}", kHigh},
                             {"langsmith_key", "lsv2_pt_", "%x{32}_%x{10}", kHigh}});
}

}  // namespace

const std::vector<SecretKind>& SecretKinds() {
  static const std::vector<SecretKind> kinds = [] {
    std::vector<SecretKind> all;
    AddDevelopment(all);
    AddInfrastructure(all);
    AddServices(all);
    AddModels(all);
    return all;
  }();
  return kinds;
}

const std::vector<std::string_view>& SecretNames() {
  static const std::vector<std::string_view> names = {
      "password",    "passwd",         "pwd",         "passphrase",    "secret",
      "api_key",     "apikey",         "api-key",     "access_key",    "accesskey",
      "access-key",  "auth_token",     "auth-token",  "access_token",  "access-token",
      "accesstoken", "client_secret",  "private_key", "refresh_token", "bearer_token",
      "signing_key", "encryption_key", "authtoken",   "api_token"};
  return names;
}

}  // namespace interlock::policies::detect
