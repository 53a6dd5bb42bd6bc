from django.urls import path

from agora.accounts.admin.site import site

urlpatterns = [path("admin/", site.urls)]
