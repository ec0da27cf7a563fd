/* SPDX-License-Identifier: MIT */
/* Tags and their registrants; see directory.h. */
#include "gateway/anchor/directory.h"

#include "gateway/base/err.h"

#include <stdlib.h>
#include <string.h>

#define SIDES 2u

struct entry;

struct registration {
    struct gw_list node; /* in owner->registrations */
    struct gw_registrant *owner;
    struct entry *entry;
    struct gw_mono expires;
};

struct entry {
    struct gw_map_node node; /* in directory->tags */
    uint8_t tag[GW_TAG_LEN];
    struct registration *sides[SIDES];
};

void gw_directory_init(struct gw_directory *directory, struct gw_random *random)
{
    uint8_t seed[16];
    gw_random_fill(random, seed, sizeof seed);
    gw_map_init(&directory->tags, GW_TAG_LEN, seed);
    directory->count = 0;
}

void gw_directory_fini(struct gw_directory *directory)
{
    gw_map_fini(&directory->tags);
}

void gw_registrant_init(struct gw_registrant *registrant)
{
    gw_list_init(&registrant->registrations);
    registrant->count = 0;
}

static struct entry *find(const struct gw_directory *directory, const uint8_t tag[GW_TAG_LEN])
{
    struct gw_map_node *node = gw_map_find(&directory->tags, tag);
    return node ? gw_map_entry(node, struct entry, node) : NULL;
}

static void remove_registration(struct gw_directory *directory, struct registration *registration)
{
    struct entry *entry = registration->entry;
    bool is_empty = true;
    for (unsigned i = 0; i < SIDES; i++) {
        if (entry->sides[i] == registration)
            entry->sides[i] = NULL;
        is_empty &= entry->sides[i] == NULL;
    }
    gw_list_remove(&registration->node);
    registration->owner->count--;
    directory->count--;
    free(registration);
    if (!is_empty)
        return;
    gw_map_remove(&directory->tags, &entry->node);
    free(entry);
}

static struct registration *of_owner(const struct entry *entry, const struct gw_registrant *registrant)
{
    for (unsigned i = 0; i < SIDES; i++) {
        if (entry->sides[i] && entry->sides[i]->owner == registrant)
            return entry->sides[i];
    }
    return NULL;
}

static struct entry *add_entry(struct gw_directory *directory, const uint8_t tag[GW_TAG_LEN])
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    memcpy(entry->tag, tag, GW_TAG_LEN);
    if (gw_map_insert(&directory->tags, &entry->node, entry->tag) == 0)
        return entry;
    free(entry);
    return NULL;
}

/* A free side, which one that expired becomes. */
static struct registration **free_side(struct gw_directory *directory, struct entry *entry,
                                       struct gw_mono now)
{
    for (unsigned i = 0; i < SIDES; i++) {
        if (!entry->sides[i])
            return &entry->sides[i];
    }
    for (unsigned i = 0; i < SIDES; i++) {
        if (gw_mono_due(entry->sides[i]->expires, now)) {
            remove_registration(directory, entry->sides[i]); /* the other one keeps the entry alive */
            return &entry->sides[i];
        }
    }
    return NULL;
}

int gw_directory_add(struct gw_directory *directory, struct gw_registrant *registrant,
                     const uint8_t tag[GW_TAG_LEN], struct gw_mono expires, unsigned max, struct gw_mono now)
{
    struct entry *entry = find(directory, tag);
    struct registration *registration = entry ? of_owner(entry, registrant) : NULL;
    if (registration) {
        registration->expires = expires;
        return 0;
    }
    if (registrant->count >= max || directory->count >= GW_DIRECTORY_MAX)
        return GW_E_LIMIT;
    registration = calloc(1, sizeof *registration);
    bool is_new = !entry;
    if (registration && is_new)
        entry = add_entry(directory, tag);
    struct registration **side = registration && entry ? free_side(directory, entry, now) : NULL;
    if (!side) {
        int err = registration && entry ? GW_E_LIMIT : GW_E_NOMEM;
        free(registration);
        return err;
    }
    *registration = (struct registration){.owner = registrant, .entry = entry, .expires = expires};
    gw_list_push_back(&registrant->registrations, &registration->node);
    registrant->count++;
    directory->count++;
    *side = registration;
    return 0;
}

void gw_directory_remove(struct gw_directory *directory, struct gw_registrant *registrant,
                         const uint8_t tag[GW_TAG_LEN])
{
    struct entry *entry = find(directory, tag);
    struct registration *registration = entry ? of_owner(entry, registrant) : NULL;
    if (registration)
        remove_registration(directory, registration);
}

bool gw_directory_remove_one(struct gw_directory *directory, struct gw_registrant *registrant,
                             uint8_t tag[GW_TAG_LEN])
{
    if (gw_list_is_empty(&registrant->registrations))
        return false;
    struct registration *first = gw_list_entry(registrant->registrations.next, struct registration, node);
    memcpy(tag, first->entry->tag, GW_TAG_LEN);
    remove_registration(directory, first);
    return true;
}

void gw_directory_clear(struct gw_directory *directory, struct gw_registrant *registrant)
{
    uint8_t tag[GW_TAG_LEN];
    while (gw_directory_remove_one(directory, registrant, tag))
        ;
}

void gw_directory_sweep(struct gw_directory *directory, struct gw_registrant *registrant, struct gw_mono now)
{
    gw_list_for_each (node, &registrant->registrations) {
        struct registration *registration = gw_list_entry(node, struct registration, node);
        if (gw_mono_due(registration->expires, now))
            remove_registration(directory, registration);
    }
}

struct gw_registrant *gw_directory_other(const struct gw_directory *directory,
                                         const struct gw_registrant *asker, const uint8_t tag[GW_TAG_LEN],
                                         struct gw_mono now)
{
    const struct entry *entry = find(directory, tag);
    struct gw_registrant *other = NULL;
    for (unsigned i = 0; entry && i < SIDES; i++) {
        const struct registration *side = entry->sides[i];
        if (side && side->owner != asker && !gw_mono_due(side->expires, now))
            other = side->owner;
    }
    return other;
}

unsigned gw_directory_both(const struct gw_directory *directory, const uint8_t tag[GW_TAG_LEN],
                           struct gw_mono now, struct gw_registrant *out[2], struct gw_mono *expires)
{
    const struct entry *entry = find(directory, tag);
    unsigned count = 0;
    *expires = now;
    for (unsigned i = 0; entry && i < SIDES; i++) {
        const struct registration *side = entry->sides[i];
        if (!side || gw_mono_due(side->expires, now))
            continue;
        out[count++] = side->owner;
        if (gw_mono_before(*expires, side->expires))
            *expires = side->expires;
    }
    return count;
}

void gw_directory_each(const struct gw_registrant *registrant, struct gw_mono now,
                       void (*fn)(const uint8_t tag[GW_TAG_LEN], struct gw_mono now, void *ctx), void *ctx)
{
    gw_list_for_each (node, &registrant->registrations)
        fn(gw_list_entry(node, struct registration, node)->entry->tag, now, ctx);
}
