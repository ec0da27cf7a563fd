/* SPDX-License-Identifier: MIT */
/* The doctor's report, for people and for programs. */
#include "frontends/dns/doctor.h"

void gw_dns_report_print(const struct gw_dns_report *report, FILE *out)
{
    for (unsigned i = 0; i < report->count; i++) {
        const struct gw_dns_finding *finding = &report->findings[i];
        fprintf(out, "%-6s %s\n", gw_dns_level_names[finding->level], finding->what);
        if (finding->advice[0])
            fprintf(out, "       %s\n", finding->advice);
    }
}

json_t *gw_dns_report_json(const struct gw_dns_report *report)
{
    json_t *findings = json_array();
    for (unsigned i = 0; i < report->count; i++) {
        const struct gw_dns_finding *finding = &report->findings[i];
        json_array_append_new(findings, json_pack("{s:s,s:s,s:s?}", "level",
                                                  gw_dns_level_names[finding->level], "what", finding->what,
                                                  "advice", finding->advice[0] ? finding->advice : NULL));
    }
    return json_pack("{s:b,s:s,s:o}", "ok", gw_dns_report_is_good(report), "name", report->name, "findings",
                     findings);
}
