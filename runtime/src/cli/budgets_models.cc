// budgets models: what models came to over a time, as a table, JSON or Prometheus' text format.
#include <CLI/CLI.hpp>
#include <memory>

#include "cli/cli.h"
#include "cli/model_cost.h"

namespace interlock::runtime::cli {
namespace {

constexpr int kDaysMax = 1'000'000;  // rows that are summed

struct ModelOptions {
  std::string from;
  std::string to;
  bool by_day = false;
  bool prometheus = false;
};

int ListModels(Session& session, const ModelOptions& options) {
  if (session.io.json && options.prometheus) {
    return Fail(session, core::InvalidArgument("--json and --prometheus exclude each other"));
  }
  auto client = session.Connect();
  if (!client.ok()) return Fail(session, client.status());
  wire::ListModelDaysRequest request;
  request.set_parent((*client)->parent());
  request.set_from_day(options.from);
  request.set_to_day(options.to);
  ModelSums sums(options.by_day);
  const core::Status status = EachPage(
      session.io, kDaysMax, [&](int size, const std::string& token) -> core::StatusOr<PageEnd> {
        request.set_page_size(size);
        request.set_page_token(token);
        INTERLOCK_ASSIGN_OR_RETURN(
            const wire::ListModelDaysResponse page,
            (*client)->Call((*client)->budgets, &wire::BudgetService::Stub::ListModelDays,
                            request));
        for (const wire::ModelDay& day : page.model_days()) sums.Take(day);
        return PageEnd{page.next_page_token(), page.model_days_size()};
      });
  if (!status.ok()) return Fail(session, status);
  if (options.prometheus) {
    PrintExposition(session.io, IdOf((*client)->parent()), sums.rows());
  } else {
    PrintModels(session.io, sums);
  }
  return kYes;
}

}  // namespace

void AddBudgetModelsCommand(CLI::App& group, Session& session) {
  auto options = std::make_shared<ModelOptions>();
  CLI::App* models = group.add_subcommand(
      "models", "What models came to, by planner, provider and model, with or without budgets");
  CLI::Option* from =
      models->add_option("--from", options->from, "Not before this day: 2026-11-21");
  CLI::Option* to = models->add_option("--to", options->to, "Not after this day (UTC)");
  CLI::Option* by_day = models->add_flag("--by-day", options->by_day, "Each day by itself");
  models
      ->add_flag("--prometheus", options->prometheus,
                 "All of the open log as counters in Prometheus' text format")
      ->excludes(from)
      ->excludes(to)
      ->excludes(by_day);
  Does(models, session, [&session, options] { return ListModels(session, *options); });
}

}  // namespace interlock::runtime::cli
