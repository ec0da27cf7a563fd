/* SPDX-License-Identifier: MIT */
/* Keys for tests: the Ed25519 seeds 01 01 ..., 02 02 ... and 03 03 ..., their peer IDs and X25519 keys. */
#ifndef TESTS_UNIT_CONFIG_KEYS_H
#define TESTS_UNIT_CONFIG_KEYS_H

#define ID_1 "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"
#define ID_1_FLIPPED \
    "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPKH" /* the sign bit of its Ed25519 key flipped */
#define KEY_1 "GxtY3VDqFLYNoXt5DNAnVNlwybq4ZOuzwPMBb+UdP1c="
#define SECRET_1 "WOhu+3X6TixBD0bhben2rK4aFwNShlG2m8F2wIi+824="
#define ID_2 "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"
#define KEY_2 "YDRufJEaX2uhVBKRdMr+dbKUrDu9VUljL0jOxiZvhBA="
#define SECRET_2 "qDxia8nDjIwgGHjrsdWwtQrEDomGx4eT2x1O82n8oU4="
#define ID_3 "12D3KooWRndVhVZPCiQwHBBBdg769GyrPUW13zxwqQyf9r3ANaba"
#define KEY_3 "deJw3ylSxXuoNnuoYYwXj5/lDbJ5nTBOdOkY2YVoYUY="

#endif
