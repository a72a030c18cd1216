"""The people who run the mall, and what each department may do. Nobody can log in: create a superuser for that."""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from random import Random

from django.contrib.auth.models import Group, Permission, User
from django.db.models import QuerySet

from apps.store.population.timeline import TODAY, office_hours

LEASING, OPERATIONS, FINANCE, AUDIT = "招商部", "运营部", "财务部", "审计部"
# The app that a department works in; the auditors look at all of them.
DEPARTMENTS = {LEASING: "store", OPERATIONS: "operations", FINANCE: "finance", AUDIT: None}
PEOPLE = (
    ("zhou.mingyuan", "周", "明远", (LEASING, OPERATIONS, FINANCE)),
    ("lin.xiaowen", "林", "晓雯", (LEASING,)),
    ("he.zhijian", "何", "志坚", (LEASING,)),
    ("tang.yuting", "唐", "雨婷", (LEASING,)),
    ("ma.jun", "马", "骏", (OPERATIONS,)),
    ("song.jiayi", "宋", "佳怡", (OPERATIONS,)),
    ("deng.haoran", "邓", "浩然", (OPERATIONS,)),
    ("xu.huimin", "许", "慧敏", (FINANCE,)),
    ("feng.guoqiang", "冯", "国强", (FINANCE,)),
    ("shen.yulan", "沈", "玉兰", (FINANCE,)),
    ("cao.wenbo", "曹", "文博", (FINANCE,)),
    ("lyu.siyuan", "吕", "思远", (AUDIT,)),
    ("peng.lei", "彭", "磊", ()),
)


def make_users(rng: Random) -> Iterator[User]:
    for username, surname, given_name, departments in PEOPLE:
        joined = TODAY - timedelta(days=rng.randrange(400, 2_600))
        yield User(
            username=username,
            last_name=surname,
            first_name=given_name,
            email=f"{username}@mall.example",
            # What set_unusable_password stores, but not at random.
            password="!" + sha256(username.encode()).hexdigest()[:40],
            is_staff=bool(departments),
            is_active=bool(departments),
            date_joined=office_hours(rng, joined),
            last_login=office_hours(rng, TODAY - timedelta(days=rng.randrange(1, 20))),
        )


def form_departments(users: list[User]) -> dict[str, tuple[User, ...]]:
    """The members of each department."""
    members = {}
    for name, app_label in DEPARTMENTS.items():
        group = Group.objects.create(name=name)
        group.permissions.set(_permissions(app_label))
        members[name] = tuple(user for user, person in zip(users, PEOPLE, strict=True) if name in person[-1])
        group.user_set.set(members[name])
    return members


def _permissions(app_label: str | None) -> QuerySet[Permission]:
    if app_label:
        return Permission.objects.filter(content_type__app_label=app_label)
    apps = [label for label in DEPARTMENTS.values() if label]
    return Permission.objects.filter(content_type__app_label__in=apps, codename__startswith="view_")
