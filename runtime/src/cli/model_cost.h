// What models came to, as text.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "cli/client.h"
#include "cli/io.h"

namespace interlock::runtime::cli {

// "0.0123": millionths, as far as they say something.
std::string MicrosText(std::int64_t micros);
// "0.0123 EUR + 2.50 USD"
std::string MicrosText(const google::protobuf::Map<std::string, std::int64_t>& micros);
// One line; empty: no model was asked, or none that tells.
std::string CostText(const wire::ModelCost& cost);

// Days summed by planner, provider and model. Not thread-safe.
class ModelSums {
 public:
  // `by_day`: each day by itself, too.
  explicit ModelSums(bool by_day) : by_day_(by_day) {}

  void Take(const wire::ModelDay& day);
  bool by_day() const { return by_day_; }
  // In the order of day, planner, provider and model; without days where these are summed.
  std::vector<wire::ModelDay> rows() const;
  const wire::ModelDay& total() const { return total_; }

 private:
  const bool by_day_;
  std::map<std::tuple<std::string, std::string, std::string, std::string>, wire::ModelDay> sums_;
  wire::ModelDay total_;
};

// As a table with its total, or as one JSON document.
void PrintModels(const Io& io, const ModelSums& sums);
// As counters in Prometheus' text format 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats).
void PrintExposition(const Io& io, const std::string& tenant,
                     const std::vector<wire::ModelDay>& sums);

}  // namespace interlock::runtime::cli
