#include "secret_forms.h"

#include <algorithm>
#include <sstream>

namespace interlock::policies {
namespace {

constexpr char kForms[] = R"(
github_token gh|p_ %a{36}
github_oauth_token gh|o_ %a{36}
github_user_token gh|u_ %a{36}
github_app_token gh|s_ %a{36}
github_refresh_token gh|r_ %a{36}
github_fine_grained_token githu|b_pat_ %a{22}_%a{59}
gitlab_token glp|at- %t{20}
gitlab_deploy_token gl|dt- %w{20}
gitlab_runner_token gl|rt- %t{20}
gitlab_job_token glc|bt- %w{20}
gitlab_trigger_token glp|tt- %w{20}
gitlab_feed_token gl|ft- %w{20}
gitlab_agent_token glag|ent- %w{50}
gitlab_oauth_secret glo|as- %w{40}
bitbucket_app_password AT|BB %a{32}
atlassian_token ATATT3|xFfGF0 %w{40}=%X{8}
atlassian_admin_token ATCTT3|xFfGN0 %w{40}=%X{8}
npm_token np|m_ %a{36}
pypi_token pypi-AgEIc|HlwaS5vcmc %w{50}
rubygems_token ruby|gems_ %x{48}
crates_token c|io %a{32}
nuget_key o|y2 %l{43}
clojars_token CLOJ|ARS_ %x{60}
docker_token dckr|_pat_ %w{27}
docker_org_token dckr|_oat_ %w{27}
artifactory_key AK|Cp %a{60}
buildkite_token bk|ua_ %x{40}
circleci_token CCI|PAT_ %a{22}_%x{40}
circleci_project_token CCI|PRJ_ %a{22}_%x{40}
sourcegraph_token sg|p_ %X{40}
postman_key PM|AK- %X{24}-%X{34}
terraform_token .atl|asv1. %w{60}
pulumi_token pu|l- %x{40}
prefect_key pn|u_ %a{36}
infracost_key ic|o- %a{32}
readme_key rd|me_ %l{70}
aws_access_key AK|IA %u{16}
aws_temporary_key AS|IA %u{16}
aws_bedrock_key AB|SK %b{109}
google_api_key AI|za %w{35}
google_oauth_secret GOC|SPX- %w{28}
google_access_token ya|29. %w{40}
azure_storage_key Accou|ntKey= %b{88}
azure_shared_access_key SharedAc|cessKey= %b{44}
alibaba_key LT|AI %a{20}
tencent_key AK|ID %a{32}
yandex_key AQ|VN %w{35}
digitalocean_token dop|_v1_ %x{64}
digitalocean_oauth_token doo|_v1_ %x{64}
digitalocean_refresh_token dor|_v1_ %x{64}
heroku_key HR|KU- %w{36}
flyio_token fo|1_ %w{43}
flyio_macaroon fm|2_ %b{80}
netlify_token nf|p_ %a{36}
render_key rn|d_ %a{32}
scalingo_token tk-|us- %w{48}
supabase_token sb|p_ %x{40}
supabase_secret_key sb_se|cret_ %w{31}
planetscale_token pscal|e_tkn_ %t{32}
planetscale_password pscal|e_pw_ %t{32}
planetscale_oauth_token pscale|_oauth_ %t{32}
databricks_token da|pi %x{32}
vault_token hv|s. %w{24}
vault_batch_token hv|b. %w{90}
vault_recovery_token hv|r. %w{24}
doppler_token dp.|pt. %a{40}
doppler_service_token dp.|st. %t{40}
onepassword_service_token ops|_eyJ %b{200}
age_key AGE-SECR|ET-KEY-1 %u{58}
cloudflare_origin_key v1|.0- %x{24}-%x{146}
tailscale_key tskey|-auth- %a{8}-%a{20}
tailscale_api_key tskey|-api- %a{8}-%a{20}
tailscale_client_key tskey-|client- %a{8}-%a{20}
grafana_service_token gl|sa_ %a{32}_%X{8}
grafana_cloud_token gl|c_ %b{32}
newrelic_key NR|AK- %u{27}
newrelic_insert_key NR|II- %w{32}
sentry_org_token snt|rys_ %b{60}
sentry_user_token snt|ryu_ %x{64}
dynatrace_token dt0|c01. %u{24}.%u{64}
stripe_secret_key sk_l|ive_ %a{16}
stripe_restricted_key rk_l|ive_ %a{16}
stripe_test_key sk_t|est_ %a{16}
stripe_test_key rk_t|est_ %a{16}
webhook_secret whs|ec_ %b{24}
square_token sq0|atp- %w{22}
square_secret sq0|csp- %w{43}
braintree_token access_token|$production$ %l{16}$%x{32}
razorpay_key rzp_|live_ %a{14}
flutterwave_key FLWS|ECK- %l{32}-X
plaid_token access-pr|oduction- %x{8}-%x{4}-%x{4}-%x{4}-%x{12}
easypost_key EZ|AK %a{54}
shippo_token shippo|_live_ %x{40}
duffel_token duffel|_live_ %w{43}
shopify_token shp|at_ %X{32}
shopify_custom_token shp|ca_ %X{32}
shopify_private_token shp|pa_ %X{32}
shopify_shared_secret shp|ss_ %X{32}
sendgrid_key S|G. %w{20}.%w{39}
mailgun_key ke|y- %x{32}
brevo_key xkey|sib- %x{64}-%a{16}
brevo_smtp_key xsmt|psib- %x{64}-%a{16}
slack_bot_token xo|xb- %d{8}-%w{18}
slack_user_token xo|xp- %d{8}-%d{8}-%w{28}
slack_app_token xa|pp- %d{1}-%u{8}-%d{8}-%a{32}
slack_config_token xoxe.|xoxp- %d{1}-%a{100}
slack_refresh_token xo|xe- %d{1}-%a{100}
slack_webhook hooks.slack.|com/services/ T%u{7}/B%u{7}/%a{20}
discord_webhook discord.com/|api/webhooks/ %d{17}/%w{60}
teams_webhook .webhook.office|.com/webhookb2/ %x{8}-%x{4}-%x{4}-%x{4}-%x{12}@%x{8}-%x{4}-%x{4}-%x{4}-%x{12}
notion_token nt|n_ %a{40}
linear_key lin_|api_ %a{40}
linear_oauth_token lin_o|auth_ %a{40}
figma_token fi|gd_ %w{40}
airtable_token p|at %a{14}.%x{64}
contentful_token CFP|AT- %w{43}
typeform_token tf|p_ %t{40}
hubspot_token pat-|na1- %X{8}-%X{4}-%X{4}-%X{4}-%X{12}
hubspot_token pat-|eu1- %X{8}-%X{4}-%X{4}-%X{4}-%X{12}
frameio_token fio|-u- %w{64}
dropbox_token s|l. %w{130}
mapbox_token sk.|eyJ %w{60}.%w{20}
openai_key sk-p|roj- %w{40}
openai_key sk-sv|cacct- %w{40}
openai_admin_key sk-a|dmin- %w{40}
openai_key s|k- %a{48}
anthropic_key sk-an|t-api %d{2}-%w{80}
anthropic_admin_key sk-ant|-admin %d{2}-%w{80}
openrouter_key sk-o|r-v1- %x{64}
huggingface_token h|f_ %a{34}
huggingface_org_token api_|org_ %a{34}
replicate_token r|8_ %a{37}
groq_key gs|k_ %a{52}
perplexity_key pp|lx- %a{48}
xai_key xa|i- %a{80}
tavily_key tv|ly- %w{32}
pinecone_key pc|sk_ %a{5}_%a{40}
langsmith_key lsv2|_pt_ %x{32}_%x{10}
)";

std::string Joined(std::string word) {
  word.erase(std::remove(word.begin(), word.end(), '|'), word.end());
  return word;
}

std::vector<SecretForm> Read() {
  std::vector<SecretForm> forms;
  std::istringstream in(kForms);
  for (std::string kind, prefix, tail; in >> kind >> prefix >> tail;) {
    forms.push_back({kind, Joined(prefix), Joined(tail)});
  }
  return forms;
}

}  // namespace

const std::vector<SecretForm>& SecretForms() {
  static const std::vector<SecretForm> forms = Read();
  return forms;
}

}  // namespace interlock::policies
